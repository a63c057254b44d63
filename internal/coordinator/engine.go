package coordinator

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/telemetry"
)

// Options say what a coordinator belongs to. DB and Conn are required.
type Options struct {
	// DB has the schema of this package's migrations.
	DB *store.DB
	// Conn calls those who take part.
	Conn grpc.ClientConnInterface
	// Node names this coordinator among those of the database; empty: by chance.
	Node     string
	Settings *config.Settings
	Logger   *slog.Logger
	Metrics  prometheus.Registerer
	Tracer   *telemetry.Tracer
	// Failpoint is called at points of interest to tests. An error from it is one
	// of what was done just before.
	Failpoint func(point string) error
}

// Engine is one coordinator.
type Engine struct {
	opts    Options
	db      *store.DB
	node    string
	logger  *slog.Logger
	limits  limits
	metrics *metrics
	writer  *writer
	plans   plans // the writer's
	timers  *timers
	gates   *gates
	clock   clock

	mu        sync.Mutex
	running   map[string]*transaction
	creating  map[string]int                   // being written for the first time, and how often
	waiting   map[string]map[*transaction]bool // for a lock
	draining  atomic.Bool
	away      atomic.Bool  // the database, as of the last commit
	beginning sync.RWMutex // held by who begins a call, so that Drain misses none
	calls     sync.WaitGroup
	// participants are the services known to take part in two-phase commits.
	participants sync.Map

	callContext context.Context
	cancelCalls context.CancelFunc
	stop        context.CancelFunc
	background  sync.WaitGroup
	stopping    chan struct{} // closed when Drain begins
	kick        chan struct{} // look for transactions to take over now
}

// New returns a coordinator that does nothing until Start.
func New(opts Options) (*Engine, error) {
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if opts.Metrics == nil {
		opts.Metrics = prometheus.NewRegistry()
	}
	if opts.Node == "" {
		opts.Node = rand.Text()
	}
	metrics, err := newMetrics(opts.Metrics)
	if err != nil {
		return nil, fmt.Errorf("new coordinator: %w", err)
	}
	e := &Engine{
		opts: opts, db: opts.DB, node: opts.Node, logger: opts.Logger, limits: watchLimits(opts.Settings),
		metrics: metrics, running: map[string]*transaction{}, creating: map[string]int{}, waiting: map[string]map[*transaction]bool{},
		stopping: make(chan struct{}), kick: make(chan struct{}, 1),
	}
	e.writer, e.timers, e.gates = newWriter(e), newTimers(), newGates(e)
	if err := e.watchAge(opts.Metrics); err != nil {
		return nil, fmt.Errorf("new coordinator: %w", err)
	}
	return e, nil
}

// Start begins to work: it joins the coordinators of the database and goes on with
// what nobody works on.
func (e *Engine) Start(ctx context.Context) error {
	if err := e.enter(ctx); err != nil {
		return fmt.Errorf("start coordinator: %w", err)
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	e.stop = stop
	e.callContext, e.cancelCalls = context.WithCancel(context.WithoutCancel(ctx))
	e.background.Go(func() { e.writer.run(run) })
	e.background.Go(func() { e.timers.run(run) })
	e.background.Go(func() { e.live(run) })
	e.background.Go(func() { e.retain(run) })
	e.background.Go(func() { e.watchOrphans(run) })
	return nil
}

// enter joins the coordinators of the database, as soon as it is there.
func (e *Engine) enter(ctx context.Context) error {
	for failures := 1; ; failures++ {
		err := e.clock.start(ctx, e.db)
		if err == nil {
			err = e.join(ctx)
		}
		if err == nil {
			e.storeWorks()
			return nil
		}
		if ctx.Err() != nil || !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrBusy) {
			return err
		}
		e.storeFailed(err)
		pause := time.NewTimer(jitter(20*time.Millisecond, time.Second, failures))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return err
		}
	}
}

// Drain stops taking transactions on, lets the calls that run finish, at most
// until ctx ends, writes down what they answered, and leaves the rest to others.
func (e *Engine) Drain(ctx context.Context) error {
	e.beginning.Lock()
	e.draining.Store(true)
	e.beginning.Unlock()
	close(e.stopping)
	done := make(chan struct{})
	go func() {
		e.calls.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
	e.cancelCalls()
	<-done
	e.gates.close()
	e.writer.close()
	e.dropAll()
	final, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	err := e.leave(final)
	e.stop()
	e.background.Wait()
	return err
}

// begin counts a call that is about to begin, unless none does any more.
func (e *Engine) begin() bool {
	e.beginning.RLock()
	defer e.beginning.RUnlock()
	if e.draining.Load() {
		return false
	}
	e.calls.Add(1)
	return true
}

// dropAll forgets what is in memory: from here on it is somebody else's.
func (e *Engine) dropAll() {
	e.mu.Lock()
	list := make([]*transaction, 0, len(e.running))
	for _, t := range e.running {
		list = append(list, t)
	}
	e.mu.Unlock()
	for _, t := range list {
		t.mu.Lock()
		t.drop()
		t.mu.Unlock()
	}
}

// add begins to work on a transaction that is ours; it returns the one that is
// there already, if there is one of this or a later epoch.
func (e *Engine) add(t *transaction) *transaction {
	e.mu.Lock()
	defer e.mu.Unlock()
	if there := e.running[t.row.gid]; there != nil && there.row.epoch >= t.row.epoch {
		return there
	}
	e.running[t.row.gid] = t
	e.metrics.active.Set(float64(len(e.running)))
	return t
}

// beginCreate counts a transaction that is about to be written for the first time, and
// endCreate one that is, or will not be. Between the two it may stand in the database
// and not be among those that run, and is nobody's to adopt for that.
func (e *Engine) beginCreate(gid string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.creating[gid]++
}

func (e *Engine) endCreate(gid string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.creating[gid]--; e.creating[gid] == 0 {
		delete(e.creating, gid)
	}
}

// forgotten reports whether nobody here works on a transaction, nor is about to.
func (e *Engine) forgotten(gid string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.running[gid] == nil && e.creating[gid] == 0
}

func (e *Engine) get(gid string) *transaction {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.running[gid]
}

func (e *Engine) remove(t *transaction) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running[t.row.gid] == t {
		delete(e.running, t.row.gid)
		e.metrics.active.Set(float64(len(e.running)))
	}
}

// full reports whether there is no room for a new transaction.
func (e *Engine) full() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.running) >= e.limits.active.Get()
}

func (e *Engine) now() int64 { return e.clock.now() }

func (e *Engine) fail(point string) error {
	if e.opts.Failpoint == nil {
		return nil
	}
	return e.opts.Failpoint(point)
}

// storeFailed says once that the database is away, and storeWorks that it is back.
func (e *Engine) storeFailed(err error) {
	e.metrics.storeErrors.Inc()
	if !e.away.Swap(true) {
		e.logger.Error("the coordinator's database refuses to write; transactions wait", "error", err)
	}
}

func (e *Engine) storeWorks() {
	if e.away.Swap(false) {
		e.logger.Info("the coordinator's database writes again")
	}
}
