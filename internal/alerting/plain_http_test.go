package alerting_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gowarren/warren/internal/alerting"
	"github.com/gowarren/warren/internal/metricstore"
)

// Services of plain HTTP are watched by the alerts of those that are called, and the
// gateway by its own.
func TestPlainHTTPIsWatched(t *testing.T) {
	count := func(service, status string) string {
		return fmt.Sprintf(`http_server_request_duration_seconds_count{service=%q,http_response_status_code=%q}`, service, status)
	}
	took := func(service string, second float64) series {
		bucket := func(le string) string {
			return fmt.Sprintf(`http_server_request_duration_seconds_bucket{service=%q,le=%q}`, service, le)
		}
		return series{count(service, "200"): counter(60), bucket("1"): counter(second), bucket("5"): counter(60), bucket("+Inf"): counter(60)}
	}
	const (
		called   = `rpc_server_call_duration_seconds_count{service="site",rpc_response_status_code="OK"}`
		panicked = `warren_http_panics_total{service="site",http_route="/page"}`
		site     = "[map[service:site]]"
	)
	rules := map[string]string{}
	for _, g := range alerting.Shipped() {
		for _, r := range g.Rules {
			rules[r.Alert] = r.Expr
		}
	}
	for _, test := range []struct {
		alert, name string
		series      series
		want        string
	}{
		{"HighErrorRatio", "it fails", series{count("site", "503"): counter(10), count("site", "200"): counter(90)}, site},
		{"HighErrorRatio", "it fails now and then", series{count("site", "503"): counter(1), count("site", "200"): counter(99)}, "[]"},
		{"HighErrorRatio", "its visitors err", series{count("site", "404"): counter(90), count("site", "200"): counter(10)}, "[]"},
		{"HighErrorRatio", "it fails for the only visitor", series{count("site", "500"): counter(1)}, "[]"},
		{"HighErrorRatio", "it is called, too, and that goes well", series{called: counter(1000), count("site", "500"): counter(10), count("site", "200"): counter(90)}, site},
		{"HighErrorRatio", "the gateway fails", series{count("gateway", "503"): counter(10), count("gateway", "200"): counter(90)}, "[]"},
		{"HighLatency", "it is slow", took("site", 10), site},
		{"HighLatency", "it is fast", took("site", 60), "[]"},
		{"HighLatency", "the gateway is slow", took("gateway", 10), "[]"},
		{"HandlerPanics", "it panics", series{panicked: stepped(5, 1)}, "[map[http_route:/page service:site]]"},
		{"HandlerPanics", "it panicked long ago", series{panicked: stepped(50, 1)}, "[]"},
	} {
		t.Run(test.alert+" "+test.name, func(t *testing.T) {
			s, now := openStore(t, metricstore.Options{}), time.Now().Truncate(time.Second)
			write(t, s, now, test.series, written*60, -1)
			found, err := s.Query(t.Context(), rules[test.alert], now, 0)
			if err != nil {
				t.Fatal(err)
			}
			labels := []map[string]string{}
			for _, one := range found.Series {
				labels = append(labels, one.Labels)
			}
			if got := fmt.Sprint(labels); got != test.want {
				t.Errorf("fires for %s, want %s", got, test.want)
			}
		})
	}
}
