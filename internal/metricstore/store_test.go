package metricstore_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gowarren/warren/internal/metricstore"
)

// quick makes the store work many times as fast as a real one.
func quick() metricstore.Limits {
	return metricstore.Limits{ScrapeInterval: 50 * time.Millisecond, EvaluationInterval: 50 * time.Millisecond}
}

func open(t *testing.T, opts metricstore.Options) *metricstore.Store {
	t.Helper()
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	opts.Logger = slog.New(slog.DiscardHandler)
	s, err := metricstore.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closed(t *testing.T, s *metricstore.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// until waits for a condition, generously.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	patience := time.After(2 * time.Minute)
	for !holds() {
		select {
		case <-ticker.C:
		case <-patience:
			t.Fatalf("not within two minutes: %s", what)
		}
	}
}

func value(t *testing.T, s *metricstore.Store, query string) (float64, bool) {
	t.Helper()
	r, err := s.Query(t.Context(), query, time.Now(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Series) != 1 {
		return 0, false
	}
	return r.Series[0].Points[0].Value, true
}

// process is the /metrics of one.
func process(t *testing.T) (*httptest.Server, prometheus.Gauge) {
	t.Helper()
	registry := prometheus.NewRegistry()
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "fault", Help: "Whether it is broken."})
	registry.MustRegister(gauge)
	server := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	t.Cleanup(server.Close)
	return server, gauge
}

func TestScrape(t *testing.T) {
	server, gauge := process(t)
	gauge.Set(7)
	s := open(t, metricstore.Options{Limits: quick(), Labels: map[string]string{"environment": "test"}})
	defer closed(t, s)
	target := metricstore.Target{Service: "order", Instance: "order-1", Version: "v2", URL: server.URL + "/metrics"}
	away := metricstore.Target{Service: "order", Instance: "order-2", URL: "http://127.0.0.1:1/metrics"}
	own := metricstore.Target{Service: "warren", Instance: "warren", Handler: s.Handler()}
	if err := s.SetTargets(t.Context(), []metricstore.Target{target, away, own}); err != nil {
		t.Fatal(err)
	}
	until(t, "the gauge is there with its labels", func() bool {
		v, ok := value(t, s, `fault{service="order",instance="order-1",version="v2",environment="test",job="order"}`)
		return ok && v == 7
	})
	until(t, "the store scraped itself", func() bool {
		v, ok := value(t, s, `prometheus_tsdb_head_series{service="warren"}`)
		return ok && v > 10
	})
	until(t, "who is away is down, with the error", func() bool {
		for _, h := range s.Targets() {
			if h.Instance == "order-2" {
				return h.Known && !h.Up && strings.Contains(h.Err, "refused") && h.Interval == quick().ScrapeInterval
			}
		}
		return false
	})
	if v, ok := value(t, s, `up{instance="order-2"}`); !ok || v != 0 {
		t.Errorf("up of who is away: %v %v", v, ok)
	}
	if m := s.Metadata("fault"); len(m) != 1 || m[0].Type != "gauge" || m[0].Help != "Whether it is broken." {
		t.Errorf("metadata: %+v", m)
	}
	// Who leaves is gone at once: not after the five minutes of a lost series.
	if err := s.SetTargets(t.Context(), []metricstore.Target{own}); err != nil {
		t.Fatal(err)
	}
	until(t, "the series of who left end", func() bool {
		_, ok := value(t, s, `fault`)
		return !ok && len(s.Targets()) == 1
	})
}

func TestTooManySeriesOfATarget(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		for n := range 20 {
			fmt.Fprintf(w, "flood{n=\"%d\"} 1\n", n)
		}
	}))
	defer server.Close()
	limits := quick()
	limits.SampleLimit = 10
	s := open(t, metricstore.Options{Limits: limits})
	defer closed(t, s)
	if err := s.SetTargets(t.Context(), []metricstore.Target{{Service: "a", Instance: "a", URL: server.URL}}); err != nil {
		t.Fatal(err)
	}
	down := func() bool {
		targets := s.Targets()
		return len(targets) == 1 && strings.Contains(targets[0].Err, "limit")
	}
	until(t, "the flood is refused", down)
	limits.SampleLimit = 30 // live
	if err := s.SetLimits(limits); err != nil {
		t.Fatal(err)
	}
	until(t, "it is let in", func() bool { v, ok := value(t, s, `count(flood)`); return ok && v == 20 })
}

func TestRestart(t *testing.T) {
	dir := t.TempDir()
	begin := time.Now().Add(-time.Minute)
	s := open(t, metricstore.Options{Dir: dir})
	err := s.Append(t.Context(), metricstore.Series{
		Labels: map[string]string{"__name__": "kept", "service": "a"},
		Points: []metricstore.Point{{Time: begin, Value: 1}, {Time: begin.Add(10 * time.Second), Value: 2}},
	})
	if err != nil {
		t.Fatal(err)
	}
	closed(t, s)
	s = open(t, metricstore.Options{Dir: dir})
	defer closed(t, s)
	r, err := s.QueryRange(t.Context(), `kept`, begin, begin.Add(10*time.Second), 10*time.Second, 0)
	if err != nil || len(r.Series) != 1 || len(r.Series[0].Points) != 2 || r.Series[0].Points[1].Value != 2 {
		t.Errorf("after a restart: %+v, %v", r, err)
	}
}

func TestAlertFiresAndResolves(t *testing.T) {
	server, gauge := process(t)
	var mu sync.Mutex
	told := map[metricstore.State]metricstore.Alert{}
	s := open(t, metricstore.Options{Limits: quick(), Notify: func(alerts []metricstore.Alert) {
		mu.Lock()
		defer mu.Unlock()
		for _, a := range alerts {
			told[a.State] = a
		}
	}})
	defer closed(t, s)
	heard := func(state metricstore.State) bool { mu.Lock(); defer mu.Unlock(); return told[state].Name != "" }
	err := s.SetRules([]metricstore.RuleGroup{{Name: "g", Rules: []metricstore.Rule{
		{Record: "fault:double", Expr: `fault * 2`},
		{
			Alert: "Broken", Expr: `fault:double > 1`, For: 100 * time.Millisecond, Labels: map[string]string{"severity": "page"},
			Annotations: map[string]string{"summary": "{{ $labels.service }} has {{ $value }}"},
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetTargets(t.Context(), []metricstore.Target{{Service: "order", Instance: "order-1", URL: server.URL}}); err != nil {
		t.Fatal(err)
	}
	until(t, "the rules are evaluated", func() bool { v, ok := value(t, s, `fault:double`); return ok && v == 0 })
	if heard(metricstore.Firing) {
		t.Error("it fired without a fault")
	}
	gauge.Set(1)
	until(t, "the alert is told", func() bool { return heard(metricstore.Firing) })
	mu.Lock()
	fired := told[metricstore.Firing]
	mu.Unlock()
	if fired.Annotations["summary"] != "order has 2" || fired.Labels["severity"] != "page" || fired.Value != 2 || fired.Fired.IsZero() || !fired.Resolved.IsZero() {
		t.Errorf("told: %+v", fired)
	}
	if states := s.Rules(); len(states) != 2 || len(states[1].Alerts) != 1 || states[1].Alerts[0].State != metricstore.Firing || states[1].Err != "" {
		t.Errorf("rules: %+v", states)
	}
	gauge.Set(0)
	until(t, "its end is told", func() bool { return heard(metricstore.Inactive) })
	mu.Lock()
	defer mu.Unlock()
	if told[metricstore.Inactive].Resolved.IsZero() {
		t.Errorf("told: %+v", told[metricstore.Inactive])
	}
}

func TestWrongRulesAreNamedAndChangeNothing(t *testing.T) {
	s := open(t, metricstore.Options{})
	defer closed(t, s)
	good := []metricstore.RuleGroup{{Name: "g", Rules: []metricstore.Rule{{Alert: "Good", Expr: "vector(1)"}}}}
	if err := s.SetRules(good); err != nil {
		t.Fatal(err)
	}
	err := s.SetRules([]metricstore.RuleGroup{{Name: "h", Rules: []metricstore.Rule{
		{Alert: "NoBrace", Expr: "sum(up"},
		{Alert: "Template", Expr: "up", Annotations: map[string]string{"summary": "{{ .Nothing"}},
		{Expr: "up"},
	}}})
	if err == nil {
		t.Fatal("wrong rules were taken")
	}
	for _, want := range []string{"rule NoBrace: ", "rule Template: ", "rule without a name: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	if states := s.Rules(); len(states) != 1 || states[0].Name() != "Good" {
		t.Errorf("in force: %+v", states)
	}
}

func TestQueries(t *testing.T) {
	s := open(t, metricstore.Options{Limits: metricstore.Limits{MaxSamples: 60, MaxPoints: 30, MaxSeries: 3}})
	defer closed(t, s)
	now := time.Now().Truncate(time.Second)
	for n := range 4 {
		series := metricstore.Series{Labels: map[string]string{"__name__": "m", "n": strconv.Itoa(n), "kind": "Even"}}
		if n%2 == 1 {
			series.Labels["kind"] = "odd"
		}
		for back := 20; back >= 0; back-- {
			series.Points = append(series.Points, metricstore.Point{Time: now.Add(-time.Duration(back) * time.Second), Value: float64(n)})
		}
		if err := s.Append(t.Context(), series); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name, query string
		limit       int
		want        string
		err         error
	}{
		{name: "vector", query: `m{n="2"}`, want: "vector 1 [2] 0 "},
		{name: "scalar", query: `1 + 1`, want: "scalar 0 [] 2 "},
		{name: "text", query: `"a"`, want: "string 0 [] 0 a"},
		{name: "matrix", query: `m{n="3"}[2s]`, want: "matrix 1 [3 3] 0 "},
		{name: "cut", query: `m`, limit: 2, want: "vector 2 [0] 0 +"},
		{name: "cut at the store's limit", query: `m`, limit: 9, want: "vector 3 [0] 0 +"},
		{name: "a warning", query: `rate(m{n="1"}[10s])`, want: "vector 1 [0] 0 +"},
		{name: "wrong", query: `sum(`, err: metricstore.ErrInvalid},
		{name: "too much", query: `m[20s]`, err: metricstore.ErrTooMuch},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, err := s.Query(t.Context(), test.query, now, test.limit)
			if !errors.Is(err, test.err) {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if err != nil {
				return
			}
			var values []float64
			if len(r.Series) > 0 {
				for _, p := range r.Series[0].Points {
					values = append(values, p.Value)
				}
			}
			got := fmt.Sprint(r.Kind, " ", len(r.Series), " ", values, " ", r.Value, " ", r.Text)
			if len(r.Warnings) > 0 {
				got += "+"
			}
			if got != test.want {
				t.Errorf("got %q, want %q (%v)", got, test.want, r.Warnings)
			}
		})
	}
	if _, err := s.QueryRange(t.Context(), `m`, now.Add(-time.Hour), now, time.Second, 0); !errors.Is(err, metricstore.ErrTooMuch) {
		t.Errorf("a range of 3600 points: %v", err)
	}
	if _, err := s.QueryRange(t.Context(), `m`, now, now.Add(-time.Hour), time.Second, 0); !errors.Is(err, metricstore.ErrInvalid) {
		t.Errorf("a range that ends before it starts: %v", err)
	}
	if got := s.Step(now.Add(-time.Hour), now); got != 14*time.Second {
		t.Errorf("the step of an hour is %s", got)
	}
	where := metricstore.Where{Start: now.Add(-time.Minute), End: now}
	if names, cut, err := s.LabelNames(t.Context(), where); fmt.Sprint(names, cut, err) != "[__name__ kind n] false <nil>" {
		t.Errorf("names: %v %v %v", names, cut, err)
	}
	if values, _, err := s.LabelValues(t.Context(), "kind", "eV", where); fmt.Sprint(values, err) != "[Even] <nil>" {
		t.Errorf("values: %v %v", values, err)
	}
	where.Selectors, where.Limit = []string{`m{kind="odd"}`, `m{n="0"}`}, 2
	if found, cut, err := s.Series(t.Context(), where); len(found) != 2 || !cut || err != nil {
		t.Errorf("series: %v %v %v", found, cut, err)
	}
	where.Selectors = []string{`{`}
	if _, _, err := s.Series(t.Context(), where); !errors.Is(err, metricstore.ErrInvalid) {
		t.Errorf("a wrong selector: %v", err)
	}
}

// A question that takes its time keeps its place; one beyond the limit is told so.
func TestQueriesAtOnce(t *testing.T) {
	s := open(t, metricstore.Options{Limits: metricstore.Limits{Concurrent: 1, MaxSamples: math.MaxInt32}})
	defer closed(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	var busy, done atomic.Bool
	var work sync.WaitGroup
	work.Go(func() {
		defer done.Store(true)
		for ctx.Err() == nil {
			_, err := s.Query(ctx, `max_over_time(vector(1)[10h:1s])`, time.Now(), 0)
			if errors.Is(err, metricstore.ErrBusy) {
				busy.Store(true)
			}
		}
	})
	until(t, "one of two is refused", func() bool {
		_, err := s.Query(t.Context(), `max_over_time(vector(1)[10h:1s])`, time.Now(), 0)
		return busy.Load() || errors.Is(err, metricstore.ErrBusy)
	})
	cancel()
	work.Wait()
	if _, err := s.Query(t.Context(), `1`, time.Now(), 0); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
