package alerting_test

import (
	"testing"
	"time"

	"github.com/gowarren/warren/internal/alerting"
	"github.com/gowarren/warren/internal/metricstore"
)

// A process that ends again and again is started in between: that is no end of the
// alert, of which everybody would be told each time.
func TestCrashLoopIsOneAlert(t *testing.T) {
	s, now := openStore(t, metricstore.Options{}), time.Now().Truncate(time.Second)
	write(t, s, now, series{`warren_fleet_instances{service="a",state="crash_loop"}`: func(ago float64) float64 { return float64(int(ago*4+0.5) % 2) }}, 600, -1)
	expr := ""
	for _, g := range alerting.Shipped() {
		for _, r := range g.Rules {
			if r.Alert == "CrashLoop" {
				expr = r.Expr
			}
		}
	}
	for ago := time.Duration(0); ago < 5*time.Minute; ago += 15 * time.Second {
		found, err := s.Query(t.Context(), expr, now.Add(-ago), 0)
		if err != nil || len(found.Series) != 1 {
			t.Errorf("%s ago: %v, %v", ago, found.Series, err)
		}
	}
}
