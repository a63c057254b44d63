package archive_test

import (
	"testing"
	"time"

	"github.com/gowarren/warren/internal/signals/archive"
)

// By a clock that only knows milliseconds many traces begin at once: no page leaves
// out those that do not fit on the one before.
func TestPagesOfOneMillisecond(t *testing.T) {
	a := open(t, t.TempDir(), nil)
	at := time.Now().Truncate(time.Millisecond)
	var calls []call
	for id := range byte(60) {
		calls = append(calls, call{trace: id, service: "s", name: "n", start: at, duration: time.Millisecond})
	}
	add(t, a, calls...)
	seen := map[byte]bool{}
	q := archive.TraceSearch{Service: "s", Limit: 7, Patience: patience, From: at.UnixNano(), To: at.Add(time.Millisecond).UnixNano()}
	for {
		page, err := a.SearchTraces(q)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page.Items {
			seen[s.Trace[0]] = true
		}
		if q.To = page.Next; q.To == 0 {
			break
		}
	}
	if len(seen) != 60 {
		t.Errorf("found %d of 60", len(seen))
	}
}
