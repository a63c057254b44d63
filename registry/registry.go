// Package registry knows which processes serve which contracts, and goes on
// knowing it while the engine behind it is away.
//
// A process announces itself once and stays announced for as long as it lives:
// when the registry forgets it, it is announced again, for ever. Callers read
// [Registry.Contract], which never waits and never fails: it answers from the
// last known good set, which starts from a file on disk when the registry is
// away at start-up, and which one bad moment of the registry cannot empty.
package registry

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/registry/driver"
)

type (
	// Instance is one process that serves contracts.
	Instance = driver.Instance
	// Route is a route served as plain HTTP, in the notation of http.ServeMux.
	Route = driver.Route
	// State says whether an instance takes new calls.
	State = driver.State
)

// An instance starts, is ready, and drains before it goes.
const (
	Starting = driver.Starting
	Ready    = driver.Ready
	Draining = driver.Draining
)

// Options tune a registry. The zero value is right for most.
type Options struct {
	// Logger is told of outages: one line at the start, one at the end.
	// Nil: slog.Default.
	Logger *slog.Logger
	// Metrics gets the warren_registry_… metrics. Nil: none are kept.
	Metrics prometheus.Registerer
	// Snapshot is the file that remembers the instances for a start while the
	// registry is away. Empty: nothing is remembered.
	Snapshot string
	// Settings are obeyed live; nil: the defaults, or what follows here.
	Settings *config.Settings
	// PanicThreshold is the share of ready instances that may expire within
	// PanicWindow. When more do, the registry is doubted instead of them: they
	// are kept, marked Suspect, until they are back or Hold has passed. The
	// settings registry.panic.… win over all three.
	PanicThreshold float64       // 0.5; 1 switches it off
	PanicWindow    time.Duration // 10 s
	Hold           time.Duration // 60 s
	// Coalesce is the time in which changes become one snapshot; it stretches
	// up to fourfold while changes go on.
	Coalesce time.Duration // 50 ms
	// RetryMax bounds the backoff between attempts to reach the engine.
	RetryMax time.Duration // 2 s
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	o.Coalesce = cmp.Or(o.Coalesce, 50*time.Millisecond)
	o.RetryMax = cmp.Or(o.RetryMax, 2*time.Second)
	return o
}

// Registry is one process's view of a system, and its place in it. It is safe
// for concurrent use.
type Registry struct {
	driver  driver.Driver
	opts    Options
	metrics *metrics
	outage  *outage

	current atomic.Pointer[Snapshot]
	// known is closed when current holds a set that was live or on disk.
	known     chan struct{}
	inbox     inbox
	announcer *announcer
	saver     *saver

	mu       sync.Mutex
	watchers map[chan struct{}]struct{}

	stop context.CancelFunc
	done sync.WaitGroup
}

// New returns a registry over d, which it owns from now on. It neither waits
// for the engine nor fails without it.
func New(d driver.Driver, opts Options) *Registry {
	opts = opts.withDefaults()
	ctx, stop := context.WithCancel(context.Background())
	r := &Registry{
		driver:   d,
		opts:     opts,
		metrics:  newMetrics(opts.Metrics),
		known:    make(chan struct{}),
		inbox:    inbox{signal: make(chan struct{}, 1)},
		saver:    &saver{path: opts.Snapshot, logger: opts.Logger, wake: make(chan struct{}, 1)},
		watchers: map[chan struct{}]struct{}{},
		stop:     stop,
	}
	r.outage = &outage{logger: opts.Logger, metrics: r.metrics, down: map[string]bool{}}
	r.announcer = newAnnouncer(d, opts.RetryMax, r.outage, r.metrics, r.tell)
	r.current.Store(&Snapshot{Stale: true})
	r.done.Go(func() { r.follow(ctx) })
	r.done.Go(func() { r.collect(ctx) })
	r.done.Go(func() { r.announcer.run(ctx) })
	r.done.Go(func() { r.saver.run(ctx, &r.current) })
	return r
}

// Snapshot returns what is known now. It never waits.
func (r *Registry) Snapshot() Snapshot { return *r.current.Load() }

// Contract returns the ready instances that serve a contract, sorted by id. It
// never waits and does not allocate; the slice is shared and must not be
// changed. While the instances of a contract stay the same, so does the slice.
func (r *Registry) Contract(name string) []Instance {
	return r.current.Load().contracts[name]
}

// Watch returns a channel that gets a value when the snapshot, or
// [Registry.Returns], has changed.
// Values are not queued: read [Registry.Snapshot] for each. Stop ends it.
func (r *Registry) Watch() (changes <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watchers[c] = struct{}{}
	return c, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.watchers, c)
	}
}

// tell gives every watcher a value.
func (r *Registry) tell() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for watcher := range r.watchers {
		notify(watcher)
	}
}

// Returns counts how often the registry had lost what this process announced
// and has it again: in between, others may not have known of this process.
// Watchers get a value for each.
func (r *Registry) Returns() int64 { return r.announcer.returns.Load() }

// Ready waits until there is a first snapshot, from the engine or from disk.
func (r *Registry) Ready(ctx context.Context) error {
	select {
	case <-r.known:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the registry's first snapshot: %w", context.Cause(ctx))
	}
}

// Announce puts an instance into the registry, and puts it there again
// whenever it is lost, until it is withdrawn. It does not wait; the error is
// about the instance, not about the engine.
func (r *Registry) Announce(instance Instance) (*Announcement, error) {
	instance.Weight = cmp.Or(instance.Weight, 100)
	instance.State = cmp.Or(instance.State, Starting)
	if err := instance.Check(); err != nil {
		return nil, fmt.Errorf("announce instance %q of service %q: %w", instance.ID, instance.Service, err)
	}
	return r.announcer.add(instance)
}

// Close stops watching and ends the session: what is still announced is gone
// for the others as if this process had died, so withdraw first.
func (r *Registry) Close() error {
	r.stop()
	r.done.Wait()
	r.saver.flush(&r.current)
	if err := r.driver.Close(); err != nil {
		return fmt.Errorf("close registry: %w", err)
	}
	return nil
}
