package warrentest

import (
	"testing"
	"time"
)

// Eventually asks again and again until it is so, and returns what was answered
// then. After half a minute, which is longer than anything takes on a machine that is
// busy, the test fails with what was awaited and the last answer.
func Eventually[T any](t testing.TB, what string, ask func() (T, bool)) T {
	t.Helper()
	const patience, pace = 30 * time.Second, 10 * time.Millisecond
	tick := time.NewTicker(pace)
	defer tick.Stop()
	over := time.After(patience)
	for {
		got, so := ask()
		if so {
			return got
		}
		select {
		case <-tick.C:
		case <-over:
			t.Fatalf("waited in vain for %s; it is %v", what, got)
		}
	}
}
