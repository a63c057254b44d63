package warren

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren/idempotency"
	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/txn/barrier"
)

// Participation is how a service with databases answers what comes twice, late, or
// as part of a distributed transaction. The zero value is right for a service with
// one database, whose handlers use it as they like.
type Participation struct {
	// Barrier stands before what a coordinator asks. What it leaves out is the
	// service's own.
	Barrier barrier.Options
	// KeptIn says where a method has its effects, in a shard, say: there the answers
	// to idempotency keys are kept, and what the barrier knows unless that is told
	// otherwise. Nil: in the service's database.
	KeptIn func(ctx context.Context, fullMethod string, req proto.Message) (idempotency.Database, error)
	// KeptInAll are all that KeptIn may return. Nil: the service's databases and
	// shards.
	KeptInAll func() []idempotency.Database
}

// Participate changes how the service takes part in transactions: which handlers
// manage theirs themselves, whether it takes part in two-phase commits, where a
// method has its effects if there are several databases. Call it in setup.
func (a *App) Participate(p Participation) { a.participation = p }

// participants are what stands before the handlers, once setup is over.
type participants struct {
	barrier *barrier.Barrier
	keys    *idempotency.Keys
}

// intercept is the innermost of what a call goes through: the barrier, for the
// calls of a coordinator, and the keys, for those of everybody else.
func (a *App) intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	p := a.participants.Load()
	if p == nil {
		return handler(ctx, req) // no database: nothing to be kept
	}
	return p.barrier.Intercept(ctx, req, info, func(ctx context.Context, req any) (any, error) {
		return p.keys.Intercept(ctx, req, info, handler)
	})
}

// startParticipation puts the barrier and the keys before the handlers of a
// service that has a database.
func (a *App) startParticipation(databases []*store.DB) error {
	if len(databases) == 0 {
		return a.refuseKeys()
	}
	opts := a.barrierOptions(databases)
	p := &participants{barrier: barrier.New(opts)}
	keptIn := a.participation.KeptIn
	if keptIn == nil {
		keptIn = idempotency.In(databases[0])
	}
	var err error
	p.keys, err = idempotency.New(idempotency.Options{
		Database: keptIn, Settings: a.Settings(), Logger: a.Logger(), Metrics: a.Metrics(),
	})
	if err != nil {
		return err
	}
	all := a.participation.KeptInAll
	if all == nil {
		all = a.keepers
	}
	for _, db := range databases {
		if err := a.patiently(a.ctx, func(ctx context.Context) error {
			return errors.Join(idempotency.Migrate(ctx, db), barrier.Migrate(ctx, db))
		}); err != nil {
			return fmt.Errorf("make the tables of transactions: %w", err)
		}
	}
	p.barrier.Register(a.server)
	a.participants.Store(p)
	a.Go("barrier", p.barrier.Run)
	a.Go("idempotency keys", func(ctx context.Context) error { return p.keys.Run(ctx, all) })
	return nil
}

// databases are those that the service has, as of now.
func (a *App) databases() []*store.DB {
	a.engines.mu.Lock()
	defer a.engines.mu.Unlock()
	return slices.Clone(a.engines.databases)
}

// keepers are where the service may keep answers, as of now.
func (a *App) keepers() (out []idempotency.Database) {
	for _, db := range a.databases() {
		out = append(out, db)
	}
	if all := a.sharded(); all != nil {
		for _, shard := range all.All() {
			out = append(out, shard)
		}
	}
	return out
}

func (a *App) barrierOptions(databases []*store.DB) barrier.Options {
	opts := a.participation.Barrier
	if keptIn := a.participation.KeptIn; opts.Database == nil && keptIn != nil {
		opts.Database = func(ctx context.Context, fullMethod string, req proto.Message) (barrier.Database, error) {
			return keptIn(ctx, fullMethod, req)
		}
	}
	if opts.Database == nil {
		opts.Database = func(context.Context, string, proto.Message) (barrier.Database, error) { return databases[0], nil }
	}
	if opts.Databases == nil {
		opts.Databases = a.databases
	}
	if opts.Settings == nil {
		opts.Settings = a.Settings()
	}
	if opts.Logger == nil {
		opts.Logger = a.Logger()
	}
	if opts.Metrics == nil {
		opts.Metrics = a.Metrics()
	}
	return opts
}

// refuseKeys keeps a contract from promising what nobody would hold.
func (a *App) refuseKeys() error {
	for _, c := range a.server.Contracts() {
		for _, m := range c.Methods {
			if m.IdempotencyKey != contract.KeyNone {
				return fmt.Errorf("%s promises to obey idempotency keys, and the service has no database to keep them in: call Database in setup", m.FullName)
			}
		}
	}
	return nil
}
