package metricstore_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gowarren/warren/internal/metricstore"
)

// points are the samples of the one series that a selector finds, of the last hour.
func points(t *testing.T, s *metricstore.Store, selector string) []metricstore.Point {
	t.Helper()
	r, err := s.Query(t.Context(), selector+"[1h]", time.Now(), 0)
	if err != nil || len(r.Series) > 1 {
		t.Fatalf("%s: %d series, %v", selector, len(r.Series), err)
	}
	if len(r.Series) == 0 {
		return nil
	}
	return r.Series[0].Points
}

// values are those of points, each time it changes.
func values(points []metricstore.Point) (out []float64) {
	for _, p := range points {
		out = append(out, p.Value)
	}
	return slices.Compact(out)
}

// shown is the /metrics of a process, and how often it was asked for.
func shown(t *testing.T, all ...prometheus.Collector) (url string, scrapes *atomic.Int64) {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(all...)
	metrics := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	scrapes = &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scrapes.Add(1)
		metrics.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/metrics", scrapes
}

// A new instance has samples, and rates, long before the time between two scrapes
// has passed; and where it leaves, its series end at once all the same.
func TestNewInstanceIsSeenSoon(t *testing.T) {
	calls := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "calls_total", Help: "Calls."}, []string{"kind"})
	at, _ := shown(t, calls)
	calls.WithLabelValues("old").Inc()
	s := open(t, metricstore.Options{Limits: metricstore.Limits{ScrapeInterval: 24 * time.Hour}})
	defer closed(t, s)
	target := metricstore.Target{Service: "order", Instance: "order-1", URL: at}
	away := metricstore.Target{Service: "order", Instance: "order-2", URL: "http://127.0.0.1:1/metrics"}
	if err := s.SetTargets(t.Context(), []metricstore.Target{target, away}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	until(t, "it has a rate", func() bool {
		_, ok := value(t, s, `rate(up{instance="order-1"}[1m])`)
		return ok
	})
	t.Logf("%s after it was known, it has a rate", time.Since(began).Round(time.Millisecond))
	until(t, "what is known of both", func() bool {
		targets := s.Targets()
		return len(targets) == 2 && targets[0].Up && targets[1].Known && !targets[1].Up && targets[1].Err != ""
	})
	// What is called for the first time now counts from the first call on.
	calls.WithLabelValues("new").Add(5)
	until(t, "the first calls count", func() bool {
		v, ok := value(t, s, `increase(calls_total{kind="new"}[1m])`)
		return ok && v > 0
	})
	if got := values(points(t, s, `calls_total{kind="new"}`)); !slices.Equal(got, []float64{0, 5}) {
		t.Errorf("samples of what was called for the first time: %v", got)
	}
	if m := s.Metadata("calls_total"); len(m) != 1 || m[0].Type != "counter" {
		t.Errorf("metadata: %+v", m)
	}
	if err := s.SetTargets(t.Context(), []metricstore.Target{away}); err != nil {
		t.Fatal(err)
	}
	until(t, "the series of who left end", func() bool {
		_, ok := value(t, s, `calls_total{kind="old"}`)
		return !ok && len(s.Targets()) == 1
	})
}

// When the turn of a new instance has come it is asked as often as the others, and
// nothing of it is missing in between.
func TestNewInstanceBecomesOneOfMany(t *testing.T) {
	at, scrapes := shown(t, prometheus.NewGauge(prometheus.GaugeOpts{Name: "fault", Help: "Whether it is broken."}))
	const interval = 4 * time.Second
	s := open(t, metricstore.Options{Limits: metricstore.Limits{ScrapeInterval: interval}})
	defer closed(t, s)
	if err := s.SetTargets(t.Context(), []metricstore.Target{{Service: "order", Instance: "order-1", URL: at}}); err != nil {
		t.Fatal(err)
	}
	gaps := 0
	until(t, "it is asked seldom", func() bool {
		seen := points(t, s, "fault")
		if _, ok := value(t, s, "fault"); len(seen) > 0 && !ok {
			gaps++
		}
		n := len(seen)
		return n > 2 && seen[n-1].Time.Sub(seen[n-2].Time) > interval*3/4 && seen[n-2].Time.Sub(seen[n-3].Time) > interval*3/4
	})
	if ups := values(points(t, s, "up")); gaps > 0 && slices.Equal(ups, []float64{1}) {
		t.Errorf("it was not there %d times though every scrape went well", gaps)
	}
	if n := int(scrapes.Load()); len(points(t, s, "fault")) < n-2 { // two at once may see the same moment
		t.Errorf("%d scrapes, and %d samples", n, len(points(t, s, "fault")))
	}
}
