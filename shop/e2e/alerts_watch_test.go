package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gowarren/warren/internal/alerting"
	"github.com/gowarren/warren/internal/metricstore"
)

// watch watches a system as the supervisor does, with the shipped alerts as they
// are, down to their windows and waiting times; only its time is a faster one.
// What one store scrapes from the instances is handed to a second one, tick by
// tick, and each tick counts there as a quarter of a minute: an alert that waits
// for five minutes waits for twenty ticks. Everything else is the product's: the
// metrics, the rules, who keeps them, and the deliveries, from which the tests
// hear of alerts.
type watch struct {
	t       *testing.T
	scraped *metricstore.Store
	judged  *metricstore.Store
	engine  *alerting.Engine
	limits  metricstore.Limits
	file    string // of alerts
	more    string // what it has beside the receivers
	own     string // the service as which the first store is scraped
	query   string

	mu      sync.Mutex
	heard   map[string][]told // by the name of the alert
	broken  bool              // the second receiver
	drivers map[*func()]bool
	targets []metricstore.Target
	ticks   int
	ticked  chan struct{} // closed by the next tick

	now    time.Time // of the second store
	begun  map[string]bool
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// told is what a receiver was told of an alert last.
type told struct {
	Status string
	Labels map[string]string
}

const (
	step = 15 * time.Second      // what a tick counts as
	pace = 60 * time.Millisecond // and what it takes at least
	// recent is how old what was scraped may be: who ceases to be scraped is missed.
	recent = "5s"
	// What is awaited comes within so many ticks, and so much time, however busy the machine is.
	alarmTicks, alarmTime = 500, 45 * time.Second
)

// begin opens the stores and has time pass, until the test ends.
func (w *watch) begin() {
	w.heard, w.drivers, w.begun, w.ticked = map[string][]told{}, map[*func()]bool{}, map[string]bool{}, make(chan struct{})
	w.now = time.Now().Add(-12 * time.Hour).Truncate(time.Second)
	quiet := slog.New(slog.DiscardHandler)
	own := prometheus.NewRegistry()
	w.limits = metricstore.Limits{ScrapeInterval: time.Second, SampleLimit: 10_500, NewSeries: 20_000, Reserve: -1}
	w.scraped = w.store(metricstore.Options{Limits: w.limits, Logger: quiet, Metrics: own})

	receiver := httptest.NewServer(http.HandlerFunc(w.hear))
	w.t.Cleanup(receiver.Close)
	dir := w.t.TempDir()
	w.file = filepath.Join(dir, alerting.FileName)
	w.alerts(w.more)
	var err error
	const never = 10_000 * time.Hour // the ticks evaluate, not the machine's clock
	w.t.Setenv("RECEIVER", receiver.URL)
	w.engine, err = alerting.New(alerting.Options{
		Dir: w.t.TempDir(), System: dir, Name: "test", Logger: quiet, Metrics: own, RetryMin: 50 * time.Millisecond, RetryMax: 200 * time.Millisecond,
		Timing: func() alerting.Timing { return alerting.Timing{Scrape: step, Evaluate: step} },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.judged = w.store(metricstore.Options{Limits: metricstore.Limits{EvaluationInterval: never, Reserve: -1}, Notify: w.engine.Notify, Logger: quiet})
	if err := w.engine.Start(w.judged); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := w.engine.Close(); err != nil {
			w.t.Error(err)
		}
	})
	config, err := alerting.Load(dir)
	if err != nil {
		w.t.Fatal(err)
	}
	names := map[string]bool{}
	for _, g := range append(alerting.Shipped(), config.Groups...) {
		for _, r := range g.Rules {
			for _, name := range metricForm.FindAllString(r.Expr, -1) {
				names[name] = true
			}
		}
	}
	w.query = `{__name__=~"` + strings.Join(slices.Sorted(maps.Keys(names)), "|") + `"}[` + recent + `]`
	w.target(metricstore.Target{Service: w.own, Instance: w.own, Handler: w.scraped.Handler()},
		metricstore.Target{Service: "judge", Instance: "judge", Handler: w.judged.Handler()})

	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	w.work.Go(func() { w.pass(ctx) })
	w.t.Cleanup(func() { cancel(); w.work.Wait() })
}

// metricForm finds the names of metrics in an expression, and some other words.
var metricForm = regexp.MustCompile(`\b[a-z]+_[a-z0-9_]+\b|\bup\b`)

func (w *watch) store(opts metricstore.Options) *metricstore.Store {
	opts.Dir = w.t.TempDir()
	s, err := metricstore.Open(opts)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			w.t.Error(err)
		}
	})
	return s
}

// alerts writes the file of alerts. The objectives are left out: they have their
// own periods, and TestConsole has one burn.
func (w *watch) alerts(more string) {
	text := `receivers:
  all: {webhook: "${RECEIVER}/all", severities: [page, ticket, info, none]}
  broken: {webhook: "${RECEIVER}/broken", severities: [page, ticket]}
off: [availability, latency, transactions]
` + more
	if err := os.WriteFile(w.file, []byte(text), 0o600); err != nil {
		w.t.Error(err)
	}
}

// target has instances scraped, too.
func (w *watch) target(more ...metricstore.Target) {
	w.mu.Lock()
	w.targets = append(w.targets, more...)
	all := slices.Clone(w.targets)
	w.mu.Unlock()
	if err := w.scraped.SetTargets(w.t.Context(), all); err != nil {
		w.t.Error(err)
	}
}

// pass has time pass.
func (w *watch) pass(ctx context.Context) {
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		w.mu.Lock()
		drivers := slices.Collect(maps.Keys(w.drivers))
		w.mu.Unlock()
		for _, d := range drivers {
			(*d)()
		}
		if err := w.tick(ctx); err != nil && ctx.Err() == nil {
			w.t.Error(err)
			return
		}
		for began := time.Now(); !w.knows() && time.Since(began) < w.limits.ScrapeInterval; {
			rest(ctx, time.Millisecond)
		}
		w.mu.Lock()
		w.ticks++
		close(w.ticked)
		w.ticked = make(chan struct{})
		w.mu.Unlock()
	}
}

// tick hands over what was scraped last, and judges it. A counter that was not
// there before began at nothing: so does the store of a system have it.
func (w *watch) tick(ctx context.Context) error {
	found, err := w.scraped.Query(ctx, w.query, time.Now(), 0)
	if err != nil {
		return err
	}
	before := w.now
	w.now = w.now.Add(step)
	var all []metricstore.Series
	for _, s := range found.Series {
		if len(s.Points) == 0 {
			continue
		}
		one := metricstore.Series{Labels: s.Labels}
		id := fmt.Sprint(s.Labels)
		if name := s.Labels["__name__"]; !w.begun[id] && counted(name) {
			one.Points = append(one.Points, metricstore.Point{Time: before.Add(time.Second)})
		}
		w.begun[id] = true
		one.Points = append(one.Points, metricstore.Point{Time: w.now, Value: s.Points[len(s.Points)-1].Value})
		all = append(all, one)
	}
	if err := w.judged.Append(ctx, all...); err != nil {
		return err
	}
	w.judged.Evaluate(ctx, w.now)
	return nil
}

// knows tells whether who is told has been told of all that fires: in less time than
// it takes to be told, several ticks would pass.
func (w *watch) knows() bool {
	for _, r := range w.judged.Rules() {
		for _, a := range r.Alerts {
			if a.State == metricstore.Firing && w.last(expected{a.Name, a.Labels}) != "firing" {
				return false
			}
		}
	}
	return true
}

func counted(name string) bool {
	return slices.ContainsFunc([]string{"_total", "_count", "_sum", "_bucket"}, func(end string) bool { return strings.HasSuffix(name, end) })
}

// each has f called in every tick, until stop.
func (w *watch) each(f func()) (stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drivers[&f] = true
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.drivers, &f)
	}
}

// times has f called so often in each tick, by as many at once.
func (w *watch) times(n int, f func()) (stop func()) {
	return w.each(func() {
		var work sync.WaitGroup
		for range n {
			work.Go(f)
		}
		work.Wait()
	})
}

// wait lets so many ticks pass.
func (w *watch) wait(ticks int) {
	for range ticks {
		w.mu.Lock()
		ticked := w.ticked
		w.mu.Unlock()
		select {
		case <-ticked:
		case <-w.t.Context().Done():
			return
		}
	}
}

// expected is an alert that a fault must have fire, and its end resolve.
type expected struct {
	alert  string
	labels map[string]string // those that tell it from others of the name
}

// fault is something that goes wrong in a system that runs.
type fault struct {
	alerts []expected
	// begin has it go wrong, and end heals it. It may take its time.
	begin func() (end func(), err error)
}

// alarm is one alert with one label.
func alarm(name string, labels ...string) expected {
	e := expected{alert: name, labels: map[string]string{}}
	for n := 0; n+1 < len(labels); n += 2 {
		e.labels[labels[n]] = labels[n+1]
	}
	return e
}

// hold has a fault happen and end, and wants its alerts to fire and to be
// resolved. It may run beside others.
func (w *watch) hold(f fault) {
	began, before := time.Now(), map[string]int{}
	for _, e := range f.alerts {
		if !w.eventually(func() bool { return w.last(e) != "firing" }) { // a machine that is busy may have fired it
			w.t.Errorf("%s fires before anything is wrong", e)
		}
		before[e.String()] = w.count(e)
	}
	end, err := f.begin()
	if err != nil {
		w.t.Errorf("%s: %v", f.alerts[0], err)
		return
	}
	for _, e := range f.alerts {
		if !w.eventually(func() bool { return w.count(e) > before[e.String()] }) {
			w.t.Errorf("%s does not fire", e)
		}
	}
	fired := time.Since(began)
	end()
	for _, e := range f.alerts {
		if !w.eventually(func() bool { return w.last(e) != "firing" }) {
			w.t.Errorf("%s is not resolved", e)
		}
		w.t.Logf("%s fired after %s and was resolved after %s", e, fired.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	}
}

func (e expected) String() string { return fmt.Sprint(e.alert, " ", e.labels) }

// of is all that was told of an alert.
func (w *watch) of(e expected) []told {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.heard[e.alert]), func(one told) bool {
		for name, value := range e.labels {
			if one.Labels[name] != value {
				return true
			}
		}
		return false
	})
}

// count is how often something was told of an alert.
func (w *watch) count(e expected) int { return len(w.of(e)) }

// last is what was told last of an alert: "firing", "resolved" or nothing.
func (w *watch) last(e expected) string {
	all := w.of(e)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1].Status
}

func (w *watch) eventually(so func() bool) bool {
	began := time.Now()
	for ticks := 0; !so(); ticks++ {
		if w.t.Context().Err() != nil || ticks > alarmTicks && time.Since(began) > alarmTime {
			return false
		}
		w.wait(1)
	}
	return true
}

// must does what a machine that is busy may not get done at once.
func (w *watch) must(what string, f func() error) {
	var err error
	if !w.eventually(func() bool { err = f(); return err == nil }) {
		w.t.Errorf("%s: %v", what, err)
	}
}

// together has faults happen beside each other.
func (w *watch) together(faults ...func()) {
	var work sync.WaitGroup
	for _, f := range faults {
		work.Go(f)
	}
	work.Wait()
}

// hear takes what is delivered; the second receiver is broken at times.
func (w *watch) hear(rw http.ResponseWriter, r *http.Request) {
	var body struct{ Alerts []told }
	err := json.NewDecoder(r.Body).Decode(&body)
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.URL.Path == "/broken" {
		if w.broken {
			http.Error(rw, "not now", http.StatusServiceUnavailable)
		}
		return
	}
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	for _, a := range body.Alerts {
		w.heard[a.Labels["alertname"]] = append(w.heard[a.Labels["alertname"]], a)
	}
}

// value is what was scraped last of a series; false: nothing ever is.
func (w *watch) value(series string) (v float64, ok bool) {
	w.eventually(func() bool {
		found, err := w.scraped.Query(w.t.Context(), series, time.Now(), 0)
		if ok = err == nil && len(found.Series) == 1 && len(found.Series[0].Points) == 1; ok {
			v = found.Series[0].Points[0].Value
		}
		return ok
	})
	return v, ok
}
