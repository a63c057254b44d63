package warren

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	eventsv1 "github.com/gowarren/warren/api/warren/events/v1"
	shardsv1 "github.com/gowarren/warren/api/warren/shards/v1"
	"github.com/gowarren/warren/events"
	"github.com/gowarren/warren/internal/letters"
	"github.com/gowarren/warren/internal/node"
	"github.com/gowarren/warren/internal/shardops"
	"github.com/gowarren/warren/lock"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/shards"
)

// enginesInUse are the engines that a service opens when it asks for them: one
// that has no events knows no broker.
type enginesInUse struct {
	mu        sync.Mutex
	databases []*store.DB
	shards    *shards.Shards
	bus       *events.Bus
	locks     *lock.Locks
	problems  []error // mistakes, told when setup is over
}

// closingGrace is what handlers of events have that the drain did not wait for: less
// than the end of a process takes at the most.
const closingGrace = 2 * time.Second

// Events is what carries events between the service's database and the others.
// Subscribe with it in setup, after Database; who only publishes calls it there
// too. The broker may be away: events wait for it in the database.
func (a *App) Events() *events.Bus {
	e := &a.engines
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.bus == nil {
		bus, err := a.openEvents()
		if err != nil {
			e.problems = append(e.problems, err)
		}
		e.bus = bus
	}
	return e.bus
}

// openEvents returns a bus in any case: what subscribes to one that is broken is
// told of the mistake when setup is over.
func (a *App) openEvents() (*events.Bus, error) {
	env := a.node.Env
	opts := events.Options{
		Service: env.Service, Settings: a.Settings(), Logger: a.Logger(), Metrics: a.Metrics(), Tracer: a.Tracer(),
		Grace: closingGrace,
	}
	if len(a.engines.databases) == 0 {
		return events.New(nil, nil, opts), errors.New("events: the service has no database that could hold them; call Database before Events")
	}
	if env.Events == "" {
		return events.New(nil, nil, opts), errors.New("events: no broker is named; give --events, for instance nats://127.0.0.1:4222/" + env.System)
	}
	d, err := node.OpenEvents(a.ctx, env.Expand(env.Events))
	if err != nil {
		return events.New(nil, nil, opts), err
	}
	bus := events.New(d, a.engines.databases[0], opts)
	for _, db := range a.engines.databases[1:] {
		bus.AddDatabase(db)
	}
	a.OnStop(func(context.Context) error { return bus.Close() })
	a.Check("events", bus.Ready)
	return bus, nil
}

// Locks lets one process of the system at a time do something. Call it in setup:
// then the service's databases have the table of [lock.Guard].
func (a *App) Locks() *lock.Locks {
	e := &a.engines
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.locks == nil {
		locks, err := a.openLocks()
		if err != nil {
			e.problems = append(e.problems, err)
		}
		e.locks = locks
	}
	return e.locks
}

func (a *App) openLocks() (*lock.Locks, error) {
	env := a.node.Env
	if env.Locks == "" {
		return new(lock.Locks), errors.New("locks: nobody is named who keeps them; give --locks, for instance etcd://127.0.0.1:2379/" + env.System)
	}
	d, err := node.OpenLocks(a.ctx, env.Expand(env.Locks))
	if err != nil {
		return new(lock.Locks), err
	}
	a.OnStop(func(context.Context) error { return d.Close() })
	locks, err := lock.New(d, lock.Options{Logger: a.Logger(), Metrics: a.Metrics()})
	if err != nil {
		return new(lock.Locks), fmt.Errorf("open locks: %w", err)
	}
	return locks, nil
}

// startEngines begins the work of the engines that setup asked for, and returns
// the mistakes that were made in asking.
func (a *App) startEngines() error {
	e := &a.engines
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := errors.Join(e.problems...); err != nil {
		return err
	}
	if err := a.startParticipation(e.databases); err != nil {
		return err
	}
	for _, db := range e.databases {
		if e.locks == nil {
			break
		}
		if err := a.patiently(a.ctx, func(ctx context.Context) error { return lock.Migrate(ctx, db) }); err != nil {
			return fmt.Errorf("make the table of locks: %w", err)
		}
	}
	if e.shards != nil {
		shardsv1.RegisterShardServiceServer(a.server, shardops.New(e.shards, a.node.Env.Expand))
	}
	if e.bus != nil {
		eventsv1.RegisterLetterServiceServer(a.server, letters.New(e.bus.Letters()))
		a.Go("events", e.bus.Run)
	}
	return nil
}

// has notes a database of the service.
func (a *App) has(db *store.DB) {
	e := &a.engines
	e.mu.Lock()
	defer e.mu.Unlock()
	e.databases = append(e.databases, db)
	if e.bus != nil {
		e.bus.AddDatabase(db)
	}
}

// drainEvents ends the handling of events while requests drain; what those
// publish is still carried.
func (a *App) drainEvents(ctx context.Context) error {
	a.engines.mu.Lock()
	bus := a.engines.bus
	a.engines.mu.Unlock()
	if bus == nil {
		return nil
	}
	return bus.Drain(ctx)
}
