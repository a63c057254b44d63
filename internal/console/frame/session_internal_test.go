package frame

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestWrongTokensWait lets those who try tokens wait for one another, and nobody
// who has a right one for them.
func TestWrongTokensWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSessions(Access{Check: func(token string) (Caller, bool) { return Caller{Name: "ada"}, token == "right" }})
		began := time.Now()
		const tries = 20
		ended := make(chan bool, tries)
		for range tries {
			go func() {
				_, ok := s.begin(t.Context(), "wrong")
				ended <- ok
			}()
		}
		synctest.Wait()
		if id, ok := s.begin(t.Context(), "right"); !ok || id == "" || time.Since(began) != 0 {
			t.Errorf("the right token: %v after %v", ok, time.Since(began))
		}
		for range tries {
			if <-ended {
				t.Error("a wrong token signs in")
			}
		}
		if took := time.Since(began); took != tries*signInPause {
			t.Errorf("%d wrong tokens took %v", tries, took)
		}
	})
}
