// Package alerting says what is wrong with a system, and tells people. Which
// rules and objectives are watched is data: those that Warren ships and those
// of the system's own file. What fires is remembered on disk, so that a restart
// neither forgets an alert nor tells of it twice.
package alerting

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gowarren/warren/internal/metricstore"
)

// Options say what is watched, and where is remembered.
type Options struct {
	Dir string // what fires, silences and history
	// System is the folder with the file of alerts.
	System string
	// Timing is asked when rules are made.
	Timing func() Timing
	// RetryMin and RetryMax bound the pause before a delivery is tried again. 1 s, 1 min.
	RetryMin, RetryMax time.Duration
	// Name is what messages call the system.
	Name    string
	Logger  *slog.Logger
	Metrics prometheus.Registerer
}

// Engine watches, remembers and tells. It is safe for concurrent use.
type Engine struct {
	opts    Options
	store   *metricstore.Store
	metrics *metrics
	log     *slog.Logger

	mu      sync.Mutex
	config  Config
	read    time.Time          // when the file that is in force was written
	active  map[string]*firing // by fingerprint
	changed chan struct{}      // something is to be told; closed and made anew
	timing  Timing

	silences *silences
	history  *journal[Change]
	tries    *journal[Delivery]

	ended  chan struct{}
	work   sync.WaitGroup
	cancel context.CancelFunc
	stop   map[string]context.CancelFunc // of receivers
}

// firing is an alert that fires, or did until all were told of its end.
type firing struct {
	Alert metricstore.Alert `json:"alert"`
	// Told is what each receiver was told last.
	Told map[string]told `json:"told"`
}

// told is what a receiver knows of an alert.
type told struct {
	Fired    time.Time `json:"fired"`
	Resolved bool      `json:"resolved"`
	At       time.Time `json:"at"`
}

// New reads the file of alerts and what was remembered. Notify may be called
// from then on.
func New(opts Options) (*Engine, error) {
	if opts.RetryMin <= 0 {
		opts.RetryMin = time.Second
	}
	if opts.RetryMax <= 0 {
		opts.RetryMax = time.Minute
	}
	config, err := Load(opts.System)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the folder of alerts: %w", err)
	}
	e := &Engine{
		opts: opts, config: config, read: written(opts.System), log: opts.Logger, active: map[string]*firing{}, changed: make(chan struct{}),
		ended: make(chan struct{}), stop: map[string]context.CancelFunc{},
	}
	if e.metrics, err = newMetrics(opts.Metrics, e); err != nil {
		return nil, err
	}
	if err := readJSON(e.path("firing.json"), &e.active, e.log); err != nil {
		return nil, err
	}
	if e.silences, err = openSilences(e.path("silences.json"), e.log); err != nil {
		return nil, err
	}
	if e.history, err = openJournal[Change](e.path("history.jsonl")); err != nil {
		return nil, err
	}
	e.tries, err = openJournal[Delivery](e.path("deliveries.jsonl"))
	return e, err
}

func (e *Engine) path(name string) string { return filepath.Join(e.opts.Dir, name) }

// Start puts the rules in force and begins to tell. It needs the store that
// calls Notify.
func (e *Engine) Start(store *metricstore.Store) error {
	e.store = store
	e.timing = e.opts.Timing()
	if err := store.SetRules(e.config.Rules(e.timing)); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	e.startReceivers(ctx)
	e.work.Go(func() { e.watch(ctx) })
	return nil
}

// Close ends telling; what was not told yet is told after the next start.
func (e *Engine) Close() error {
	if e.cancel != nil {
		e.cancel()
	}
	e.work.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.save()
}

// startReceivers runs one loop for each receiver of the file.
func (e *Engine) startReceivers(ctx context.Context) {
	for _, stop := range e.stop {
		stop()
	}
	e.stop = map[string]context.CancelFunc{}
	for _, r := range e.config.Receivers {
		one, cancel := context.WithCancel(ctx)
		e.stop[r.Name] = cancel
		e.work.Go(func() { e.tell(one, r) })
	}
}

// Notify hears of alerts from the store.
func (e *Engine) Notify(alerts []metricstore.Alert) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hearAll(alerts)
}

// hearAll takes alerts in. However many begin or end at once, they are written
// down once: who evaluates the rules waits for it.
func (e *Engine) hearAll(alerts []metricstore.Alert) {
	var changed bool
	for _, a := range alerts {
		changed = e.hear(a) || changed
	}
	if !changed {
		return
	}
	if err := e.save(); err != nil {
		e.log.Warn("alerts not written", "error", err)
	}
	e.wake()
}

// hear takes one alert in, and tells whether that is news.
func (e *Engine) hear(a metricstore.Alert) bool {
	id := fingerprint(a.Labels)
	known, ok := e.active[id]
	resolved := !a.Resolved.IsZero()
	fires := ok && known.Alert.Resolved.IsZero()
	switch {
	case resolved && !fires:
		return false
	case resolved:
		known.Alert.Resolved, known.Alert.State = a.Resolved, metricstore.Inactive
		e.forget() // where nobody was told that it fires
		e.remember(known.Alert)
		return true
	case fires:
		a.Fired = known.Alert.Fired // it goes on, maybe since before a restart
		known.Alert = a
		return false
	}
	if !ok {
		known = &firing{Told: map[string]told{}}
		e.active[id] = known
	}
	known.Alert = a
	e.remember(a)
	return true
}

// remember tells the history that an alert began or ended.
func (e *Engine) remember(a metricstore.Alert) {
	c := changeOf(a)
	if err := e.history.add(c); err != nil {
		e.log.Warn("history of alerts not written", "error", err)
	}
	e.metrics.changes.WithLabelValues(c.Severity, map[bool]string{true: "resolved", false: "fired"}[c.Resolved]).Inc()
	e.log.Info("alert "+map[bool]string{true: "resolved", false: "fires"}[c.Resolved],
		"alert", c.Name, "severity", c.Severity, "summary", c.Annotations["summary"], "labels", c.Labels)
}

func (e *Engine) save() error { return writeJSON(e.path("firing.json"), e.active) }

// wake lets the receivers look.
func (e *Engine) wake() {
	close(e.changed)
	e.changed = make(chan struct{})
}

// look is how often is looked for what nobody tells: a file that changed, an
// alert that ended while nothing ran, a silence that is over.
const look = 2 * time.Second

func (e *Engine) watch(ctx context.Context) {
	began := time.Now()
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		e.reread(ctx)
		// What fired before a restart may have ended meanwhile, of which the store
		// does not know.
		if time.Since(began) > e.opts.Timing().settled() {
			e.forgotten()
		}
		e.mu.Lock()
		e.wake()
		e.mu.Unlock()
	}
}

// settled is how long after a start the store has found again what goes on: by
// then every rule was evaluated with what was scraped since.
func (t Timing) settled() time.Duration {
	const least, evaluations = 90 * time.Second, 3
	return max(least, evaluations*t.Evaluate)
}

// reread obeys a changed file or timing. A file that is wrong changes nothing.
func (e *Engine) reread(ctx context.Context) {
	timing, at := e.opts.Timing(), written(e.opts.System)
	e.mu.Lock()
	same := timing == e.timing && at.Equal(e.read)
	config := e.config
	e.mu.Unlock()
	if same {
		return
	}
	fresh, err := Load(e.opts.System)
	if err == nil {
		config = fresh
		err = e.store.SetRules(config.Rules(timing))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.timing, e.read = timing, at
	if err != nil {
		e.metrics.refused.Set(1)
		e.log.Error("alerts not changed: those before stay in force", "error", err)
		return
	}
	e.metrics.refused.Set(0)
	e.config = config
	e.forget() // where those who were told are not receivers any more
	e.startReceivers(ctx)
	e.log.Info("alerts changed", "file", FileName, "objectives", len(config.All()), "receivers", len(config.Receivers))
}

// forgotten ends alerts that no rule knows of any more.
func (e *Engine) forgotten() {
	known := map[string]bool{}
	for _, r := range e.store.Rules() {
		for _, a := range r.Alerts {
			known[fingerprint(a.Labels)] = true
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var over []metricstore.Alert
	for id, f := range e.active {
		if !known[id] && f.Alert.Resolved.IsZero() {
			ended := f.Alert
			ended.Resolved = time.Now().UTC()
			over = append(over, ended)
		}
	}
	e.hearAll(over)
}

// written is when the file of alerts was; zero if there is none.
func written(dir string) time.Time {
	info, err := os.Stat(filepath.Join(dir, FileName))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// fingerprint is the same for the same labels.
func fingerprint(labels map[string]string) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		fmt.Fprintf(h, "%q%q", name, labels[name])
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Change is that an alert began or ceased to fire.
type Change struct {
	Time        time.Time         `json:"time"`
	Name        string            `json:"name"`
	Resolved    bool              `json:"resolved,omitempty"`
	Severity    string            `json:"severity"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	Value       float64           `json:"-"`
	Text        string            `json:"value"` // JSON knows no infinity
}

func changeOf(a metricstore.Alert) Change {
	at := a.Fired
	if !a.Resolved.IsZero() {
		at = a.Resolved
	}
	return Change{
		Time: at, Name: a.Name, Resolved: !a.Resolved.IsZero(), Severity: a.Labels[severityLabel],
		Labels: a.Labels, Annotations: a.Annotations, Value: a.Value, Text: strings.TrimSpace(fmt.Sprint(a.Value)),
	}
}
