package events

import (
	"cmp"
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	random "math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/events/driver"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/telemetry"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Options say what a bus belongs to.
type Options struct {
	// Service is the group in which this process subscribes, and what events
	// call their source. Required.
	Service string
	// Settings are the live numbers. Nil: their defaults.
	Settings *config.Settings
	// Logger is told of outages, one line at the start and one at the end, and of
	// dead letters. Nil: slog.Default.
	Logger *slog.Logger
	// Metrics gets the messaging_… and warren_… metrics. Nil: none are kept.
	Metrics prometheus.Registerer
	// Tracer records publishing and handling as one trace. Nil: it doesn't.
	Tracer *telemetry.Tracer
	// Grace is how long handlers that run may go on when the bus ends.
	Grace time.Duration // 10 s
}

// Bus carries the events of one service: out of its database, and to its
// handlers. It is safe for concurrent use.
type Bus struct {
	driver  driver.Driver
	can     driver.Capabilities
	opts    Options
	owner   string // of the relay's lease
	limits  limits
	metrics *metrics
	outage  *outage

	types     sync.Map // protoreflect.FullName to *eventType
	ready     chan struct{}
	readyOnce sync.Once
	relaying  sync.Mutex    // one relay per process
	moving    chan struct{} // holds one while an event goes from database to database

	mu       sync.Mutex
	places   []*place // one per database; none goes away
	subs     []*subscription
	current  *run
	draining bool
}

// New returns a bus over d, which it owns from now on, for the events of a
// service that has its data in db. It neither waits for the broker nor for the
// database; [Bus.Run] does the work. Without both it only takes subscriptions.
func New(d driver.Driver, db *store.DB, opts Options) *Bus {
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if opts.Metrics == nil {
		opts.Metrics = prometheus.NewRegistry()
	}
	opts.Grace = cmp.Or(opts.Grace, 10*time.Second)
	var can driver.Capabilities
	if d != nil {
		can = d.Capabilities()
	}
	b := &Bus{
		driver: d, can: can, opts: opts,
		owner:   rand.Text(),
		limits:  watchLimits(opts.Settings),
		metrics: newMetrics(opts.Metrics, can.System),
		ready:   make(chan struct{}),
		moving:  make(chan struct{}, 1),
	}
	b.outage = &outage{logger: opts.Logger, metrics: b.metrics, down: map[string]time.Time{}}
	if db != nil {
		b.AddDatabase(db)
	}
	return b
}

// run is one call of Run.
type run struct {
	stopping context.Context // ends when nothing new is begun
	taking   context.Context // ends with it, or before: no new event is handled
	drain    context.CancelFunc
	work     context.Context // ends when what runs is cut off
	tasks    *sync.WaitGroup
	handling *sync.WaitGroup // those of them that handle
}

// Run creates the tables, then relays, handles and retries until ctx ends; what
// is being handled then is finished, within Options.Grace. A broker or a database
// that is away is waited for.
func (b *Bus) Run(ctx context.Context) error {
	b.relaying.Lock()
	defer b.relaying.Unlock()
	for _, p := range b.all() {
		if err := p.migrate(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
	b.readyOnce.Do(func() { close(b.ready) })
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	r := &run{stopping: ctx, work: work, tasks: &sync.WaitGroup{}, handling: &sync.WaitGroup{}}
	r.taking, r.drain = context.WithCancel(ctx)
	defer r.drain()
	r.tasks.Go(func() { b.keep(r) })
	b.mu.Lock()
	b.current = r
	if b.draining {
		r.drain()
	}
	for _, p := range b.places {
		r.tasks.Go(func() { p.carry(r) })
	}
	for _, s := range b.subs {
		b.begin(r, s)
	}
	b.mu.Unlock()
	<-ctx.Done()
	b.mu.Lock()
	b.current = nil
	b.mu.Unlock()
	done := make(chan struct{})
	go func() { defer close(done); r.tasks.Wait() }()
	select {
	case <-done:
	case <-time.After(b.opts.Grace):
		b.opts.Logger.Warn("handlers of events are cut off", "grace", b.opts.Grace)
		cut()
		<-done
	}
	return nil
}

// Drain ends the handling of events, while publishing goes on: no new event is
// begun, and what runs is finished before Drain returns, or ctx ends.
func (b *Bus) Drain(ctx context.Context) error {
	b.mu.Lock()
	r := b.current
	b.draining = true
	b.mu.Unlock()
	if r == nil {
		return nil
	}
	r.drain()
	done := make(chan struct{})
	go func() { defer close(done); r.handling.Wait() }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("finish the handling of events: %w", context.Cause(ctx))
	}
}

// Ready tells whether events can be published: the tables are there. The broker
// may be away, and events wait for it.
func (b *Bus) Ready(ctx context.Context) error {
	select {
	case <-b.ready:
		return nil
	default:
	}
	select {
	case <-b.ready:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the tables of events: %w", context.Cause(ctx))
	}
}

// Close lets go of the broker, after Run has returned.
func (b *Bus) Close() error {
	if err := b.driver.Close(); err != nil {
		return fmt.Errorf("close events: %w", err)
	}
	return nil
}

// migrate makes the tables of a database, once.
func (p *place) migrate(ctx context.Context) error {
	if p.prepared() {
		return nil
	}
	for backoff := first; ; backoff = min(2*backoff, last) {
		err := Migrate(ctx, p.db)
		if err == nil {
			p.outage.over("database" + p.suffix)
			p.once.Do(func() { close(p.tables) })
			return nil
		}
		if errors.Is(err, store.ErrMigration) || ctx.Err() != nil {
			return err
		}
		p.outage.began("database"+p.suffix, err)
		if !pause(ctx, backoff) {
			return err
		}
	}
}

// The pauses between attempts to reach an engine that is away.
const (
	first = 50 * time.Millisecond
	last  = 2 * time.Second
)

// pause waits up to d, drawn by chance; false: ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(jitter(d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// jitter draws between a half of d and all of it.
func jitter(d time.Duration) time.Duration { return d/2 + random.N(d/2+1) }

// wake signals on a channel of one place.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
