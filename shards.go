package warren

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gowarren/warren/idempotency"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/shards"
)

// Shards opens the service's own databases, which are as many as its database URL
// names, divided by spaces, and brings their schemas up to the migrations in opts.
// Like [App.Database] it waits for them. The answers to idempotency keys move with
// the shards: tell [App.Participate] the shard of a method's request.
func (a *App) Shards(ctx context.Context, opts shards.Options) (*shards.Shards, error) {
	opts.Database.Logger, opts.Database.Metrics, opts.Database.Tracer = a.Logger(), a.Metrics(), a.Tracer()
	opts.Logger, opts.Metrics = a.Logger(), a.Metrics()
	opts.Tables = append(slices.Clone(opts.Tables), shards.Table{Name: idempotency.Table, Shard: "shard", Key: []string{"id"}})
	prepare := opts.Prepare
	opts.Prepare = func(ctx context.Context, db *store.DB) error {
		if err := idempotency.Migrate(ctx, db); err != nil || prepare == nil {
			return err
		}
		return prepare(ctx, db)
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
	return all, nil
}
