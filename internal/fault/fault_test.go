package fault_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/gowarren/warren/internal/fault"
)

func TestRoundTrip(t *testing.T) {
	until := time.Date(2026, 1, 31, 12, 0, 0, 5, time.UTC)
	all := []fault.Fault{
		{Experiment: "slow", Until: until, Share: 0.25, Delay: 2 * time.Second, Jitter: 100 * time.Millisecond},
		{Experiment: "broken", Until: until, Share: 1, Code: codes.Aborted},
		{Experiment: "cut", Until: until, Share: 1, To: "payment"},
		{Experiment: "nothing", Until: until, Share: 0},
	}
	got, err := fault.Parse(fault.Format(all))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(all) {
		t.Fatalf("got %d faults", len(got))
	}
	for i := range all {
		if got[i] != all[i] {
			t.Errorf("got %+v, want %+v", got[i], all[i])
		}
	}
	if got, err := fault.Parse(""); err != nil || got != nil {
		t.Errorf("nothing: %v, %v", got, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for raw, want := range map[string]string{
		"delay=2s":                             "until is missing",
		"until=tomorrow delay=2s":              "until=tomorrow",
		"until=2026-01-31T12:00:00Z delay=2":   "delay=2",
		"until=2026-01-31T12:00:00Z delay=-2s": "between 0 and a day",
		// Twice as long is more than a duration can be, and nobody draws by chance from that.
		"until=2026-01-31T12:00:00Z delay=1s jitter=2000000h": "between 0 and a day",
		"until=2026-01-31T12:00:00Z share=1.5":                "between 0 and 1",
		"until=2026-01-31T12:00:00Z share=NaN":                "between 0 and 1",
		"until=2026-01-31T12:00:00Z code=OK":                  "no code of a failure",
		"until=2026-01-31T12:00:00Z dealy=2s":                 `there is no "dealy"`,
		"until=2026-01-31T12:00:00Z; delay=1s x=1":            "x=1",
	} {
		if _, err := fault.Parse(raw); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", raw, err, want)
		}
	}
}

func TestOver(t *testing.T) {
	now := time.Now()
	for ends, want := range map[time.Duration]bool{-time.Second: true, 0: true, time.Second: false, fault.Most: false, fault.Most + time.Second: true} {
		if got := (fault.Fault{Until: now.Add(ends)}).Over(now); got != want {
			t.Errorf("ends in %s: over %v", ends, got)
		}
	}
	all := []fault.Fault{{Experiment: "a", Until: now.Add(time.Hour)}, {Experiment: "b", Until: now.Add(time.Hour)}, {Experiment: "c", Until: now}}
	if left := fault.Without(all, "a", now); len(left) != 1 || left[0].Experiment != "b" {
		t.Errorf("left: %v", left)
	}
}
