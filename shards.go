package warren

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gowarren/warren/events"
	"github.com/gowarren/warren/idempotency"
	"github.com/gowarren/warren/lock"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/shards"
	"github.com/gowarren/warren/txn/barrier"
)

// refreshEvery is how long a process may not know of a database that joined the
// others, as long as nothing leads it there.
const refreshEvery = 10 * time.Second

// fenceTime is longer than that of package shards, since the events of a shard that
// moves are waited for: the broker may take a second to have them on its disk.
const fenceTime = 5 * time.Second

// Shards opens the service's own databases, which are as many as its database URL
// names, divided by spaces, and brings their schemas up to the migrations in opts.
// Like [App.Database] it waits for them. Call it once.
//
// What Warren itself keeps of a shard's calls moves with it, the answers to
// idempotency keys and what the barrier knows: tell [App.Participate] the shard of
// a method's request. A shard moves when the events that it published before are.
// Operators move shards by the command "warren shards".
func (a *App) Shards(ctx context.Context, opts shards.Options) (*shards.Shards, error) {
	if a.sharded() != nil {
		return nil, errors.New("open the shards: a service has one set of them")
	}
	opts.Database.Logger, opts.Database.Metrics, opts.Database.Tracer = a.Logger(), a.Metrics(), a.Tracer()
	opts.Logger, opts.Metrics = a.Logger(), a.Metrics()
	opts.Tables = append(slices.Clone(opts.Tables),
		shards.Table{Name: idempotency.Table, Shard: "shard", Key: []string{"id"}},
		shards.Table{Name: barrier.Table, Shard: "shard", Key: []string{"gid", "branch", "op", "step"}})
	opts.FenceTime = cmp.Or(opts.FenceTime, fenceTime)
	opts.Prepare = a.prepareShards(opts.Prepare)
	opts.BeforeSwitch = a.beforeSwitch(opts.BeforeSwitch)
	opened, joined := opts.Opened, false
	opts.Opened = func(db *store.DB) {
		if joined { // the first ones may be closed again, and are told of below
			a.has(db)
		}
		if opened != nil {
			opened(db)
		}
	}
	urls := strings.Fields(a.node.Env.Expand(a.node.Env.Database))
	var all *shards.Shards
	err := a.patiently(ctx, func(ctx context.Context) (err error) {
		all, err = shards.Open(ctx, urls, opts)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open the shards: %w", err)
	}
	a.OnStop(func(context.Context) error { return all.Close() })
	a.Check("database", all.Ping)
	for _, db := range all.Databases() {
		a.has(db)
	}
	joined = true
	a.engines.mu.Lock()
	a.engines.shards = all
	a.engines.mu.Unlock()
	a.Go("shards", func(ctx context.Context) error { return a.refresh(ctx, all) })
	return all, nil
}

func (a *App) sharded() *shards.Shards {
	a.engines.mu.Lock()
	defer a.engines.mu.Unlock()
	return a.engines.shards
}

// prepareShards makes the tables of Warren that a database of shards needs: all of
// them in one that joins when the service runs already.
func (a *App) prepareShards(also func(context.Context, *store.DB) error) func(context.Context, *store.DB) error {
	return func(ctx context.Context, db *store.DB) error {
		a.engines.mu.Lock()
		bus, locks := a.engines.bus, a.engines.locks
		a.engines.mu.Unlock()
		err := errors.Join(idempotency.Migrate(ctx, db), barrier.MigrateShards(ctx, db))
		if bus != nil {
			err = errors.Join(err, events.Migrate(ctx, db))
		}
		if locks != nil {
			err = errors.Join(err, lock.Migrate(ctx, db))
		}
		if err != nil || also == nil {
			return err
		}
		return also(ctx, db)
	}
}

// beforeSwitch has a shard move only when the broker has its events: those that it
// publishes at its new place come after them.
func (a *App) beforeSwitch(also func(context.Context, int, *store.DB, *store.DB) error) func(context.Context, int, *store.DB, *store.DB) error {
	return func(ctx context.Context, shard int, from, to *store.DB) error {
		if also != nil {
			if err := also(ctx, shard, from, to); err != nil {
				return err
			}
		}
		a.engines.mu.Lock()
		bus := a.engines.bus
		a.engines.mu.Unlock()
		if bus == nil {
			return nil
		}
		return bus.Drained(ctx, from)
	}
}

// refresh has this process know of all databases before long, so that events that
// others published there are carried on when those die.
func (a *App) refresh(ctx context.Context, all *shards.Shards) error {
	every := time.NewTicker(refreshEvery)
	defer every.Stop()
	for failing := false; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
		err := all.Refresh(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			a.Logger().WarnContext(ctx, "not all databases of the shards are known", "error", err)
		}
		failing = err != nil
	}
}
