package alerting_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gowarren/warren/internal/alerting"
	"github.com/gowarren/warren/internal/metricstore"
)

// An alert of an objective is one alert for as long as it lasts, though first short
// windows see it and then only long ones: its end is not told as another beginning.
func TestBurningIsOneAlert(t *testing.T) {
	s, now := openStore(t, metricstore.Options{}), time.Now().Truncate(time.Second)
	groups := alerting.Config{}.Rules(alerting.Timing{Scrape: 15 * time.Second, Evaluate: 15 * time.Second})
	group := groups[slices.IndexFunc(groups, func(g metricstore.RuleGroup) bool { return g.Name == "slo-availability" })]
	const over = 12                                         // minutes ago it was over
	looks := []time.Duration{20 * time.Minute, time.Minute} // while it lasted, and after
	simulate(t, s, group, series{
		`http_server_request_duration_seconds_count{service="gateway",http_response_status_code="500"}`: func(ago float64) float64 { return (written - max(ago, over)) * 5 },
		`http_server_request_duration_seconds_count{service="gateway",http_response_status_code="200"}`: counter(95),
	}, now, looks...)
	burns := group.Rules[slices.IndexFunc(group.Rules, func(r metricstore.Rule) bool { return r.Alert == "ErrorBudgetBurnsFast" })]
	var seen []string
	for _, ago := range looks {
		found, err := s.Query(t.Context(), burns.Expr, now.Add(-ago), 0)
		if err != nil || len(found.Series) != 1 {
			t.Fatalf("%s ago: %v, %v", ago, found.Series, err)
		}
		seen = append(seen, fmt.Sprint(found.Series[0].Labels))
	}
	if seen[0] != seen[1] {
		t.Errorf("it is another alert when it is over: %s, then %s", seen[0], seen[1])
	}
}
