package spelled_test

import (
	"testing"
	"time"

	"github.com/gowarren/warren/internal/spelled"
)

func TestDuration(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s": 0, "1h": time.Hour, "10m": 10 * time.Minute, "1h10m": 70 * time.Minute, "1h0m30s": time.Hour + 30*time.Second,
		"20s": 20 * time.Second, "1m20s": 80 * time.Second, "-2h": -2 * time.Hour, "100h": 100 * time.Hour, "1.5s": 1500 * time.Millisecond,
	} {
		got := spelled.Duration(d)
		if got != want {
			t.Errorf("%v is written %q, want %q", d, got, want)
		}
		if back, err := time.ParseDuration(got); err != nil || back != d {
			t.Errorf("%q is read as %v, %v", got, back, err)
		}
	}
}
