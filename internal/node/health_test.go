package node

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestReadyWhenAllChecksPass(t *testing.T) {
	h := newHealth()
	broken := errors.New("no database")
	h.Add("database", func(context.Context) error { return broken })
	h.Add("settings", func(context.Context) error { return nil })
	ready, results := h.Check(t.Context())
	if ready || len(results) != 3 || results[0].Err != "starting" || results[1].Err != "no database" || !results[2].OK {
		t.Errorf("while starting: %v %+v", ready, results)
	}
	if ok, why := h.passing(t.Context()); ok || why != "database: no database" {
		t.Errorf("passing: %v %q", ok, why)
	}
	h.setPhase("")
	h.Remove("database")
	if ready, results := h.Check(t.Context()); !ready || len(results) != 1 {
		t.Errorf("once ready: %v %+v", ready, results)
	}
}

func TestCheckThatHangsOrPanicsHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHealth()
		leave := make(chan struct{})
		h.Add("hangs", func(context.Context) error { <-leave; return nil })
		h.Add("panics", func(context.Context) error { panic("at the disco") })
		began := time.Now()
		_, results := h.Check(t.Context())
		if took := time.Since(began); took != checkTimeout {
			t.Errorf("took %s, want %s", took, checkTimeout)
		}
		var text []string
		for _, r := range results {
			text = append(text, r.Name+": "+r.Err)
		}
		if all := strings.Join(text, "\n"); !strings.Contains(all, "hangs: no answer within") || !strings.Contains(all, "panics: the check panicked: at the disco") {
			t.Errorf("results:\n%s", all)
		}
		close(leave)
	})
}

func TestCheckThatHangsIsNotBegunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHealth()
		leave := make(chan struct{})
		var begun atomic.Int32
		h.Add("hangs", func(context.Context) error { begun.Add(1); <-leave; return nil })
		for range 10 {
			h.Check(t.Context())
		}
		if n := begun.Load(); n != 1 {
			t.Errorf("it was begun %d times", n)
		}
		close(leave)
		synctest.Wait()
		h.setPhase("")
		if ready, results := h.Check(t.Context()); !ready {
			t.Errorf("afterwards: %+v", results)
		}
	})
}
