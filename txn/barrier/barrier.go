package barrier

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/store"
)

// Database is where a method has its effects: a [store.DB], or one shard of several
// databases. What is kept of a shard moves with it.
type Database interface {
	InTx(ctx context.Context, fn func(ctx context.Context, tx *store.Tx) error, opts ...store.TxOption) error
}

// Options say what a Barrier needs. Only Database is required.
type Options struct {
	// Database returns where the method keeps what it does with the request.
	Database func(ctx context.Context, fullMethod string, req proto.Message) (Database, error)
	// Databases returns all that Database may return: what is kept too long is
	// deleted there, and transactions are looked for there. Nil: none.
	Databases func() []*store.DB
	// Manual names methods, as "/shop.payment.v1.PaymentService/Hold", whose
	// handlers begin their transactions themselves and call [Do] in them.
	Manual []string
	// TwoPhase lets the service take part in two-phase commits, which hold locks
	// until the coordinator has decided, however long that takes.
	TwoPhase bool
	// Settings are the live numbers; nil: the defaults.
	Settings *config.Settings
	// Logger; nil: slog.Default.
	Logger *slog.Logger
	// Metrics gets the warren_txn_barrier_… metrics; nil: none.
	Metrics prometheus.Registerer
}

// Barrier stands before the handlers of a service. It is safe for concurrent use.
type Barrier struct {
	opts    Options
	logger  *slog.Logger
	metrics *metrics
	keep    *config.Value[time.Duration]
	orphan  *config.Value[time.Duration]
	audit   *config.Value[time.Duration]
	// replies are the types of the methods' answers.
	replies sync.Map
}

// New returns a barrier.
func New(opts Options) *Barrier {
	b := &Barrier{opts: opts, logger: opts.Logger, metrics: newMetrics(opts.Metrics)}
	if b.logger == nil {
		b.logger = slog.Default()
	}
	b.keep = config.Watch(opts.Settings, settingKeep, config.Scope{})
	b.orphan = config.Watch(opts.Settings, settingOrphan, config.Scope{})
	b.audit = config.Watch(opts.Settings, settingAudit, config.Scope{})
	return b
}

// Register has the server answer the coordinator's questions about what the
// service did, besides the calls of its methods.
func (b *Barrier) Register(server grpc.ServiceRegistrar) {
	txnv1.RegisterParticipantServiceServer(server, participant{barrier: b})
}

// Table is where it is kept what was done. Its key is gid, branch, op, step; in
// shard it has the shard that the transaction was in, -1 if it was in none.
const Table = "warren_barrier"

//go:embed migrations/*.sql
var migrations embed.FS

// That the rows of one shard are found is only asked where there are shards.
//
//go:embed migrations/sharded/*.sql
var sharded embed.FS

type migratedKey struct{}

// Migrate makes the barrier's tables in the database. The Barrier does so by
// itself; whoever calls [Local] without one calls this first. It is cheap the
// second time.
func Migrate(ctx context.Context, db *store.DB) error {
	if db.Attached(migratedKey{}) != nil {
		return nil
	}
	if err := db.MigrateSet(ctx, "warren.txn", migrations); err != nil {
		return err
	}
	db.Attach(migratedKey{}, true)
	return nil
}

// MigrateShards makes the barrier's tables in a database that has shards.
func MigrateShards(ctx context.Context, db *store.DB) error {
	if err := Migrate(ctx, db); err != nil {
		return err
	}
	steps, err := fs.Sub(sharded, "migrations/sharded")
	if err != nil {
		return err
	}
	return db.MigrateSet(ctx, "warren.txn.shards", steps)
}

func (b *Barrier) manual(fullMethod string) bool { return slices.Contains(b.opts.Manual, fullMethod) }

// database returns where the call's work is kept, with the barrier's tables.
//
//nolint:ireturn // the service chose it
func (b *Barrier) database(ctx context.Context, fullMethod string, req any) (Database, error) {
	message, ok := req.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("request of %s is a %T, no message", fullMethod, req)
	}
	db, err := b.opts.Database(ctx, fullMethod, message)
	if err != nil {
		return nil, fmt.Errorf("find database of %s: %w", fullMethod, err)
	}
	if whole, ok := db.(*store.DB); ok { // those of shards have them already
		return db, Migrate(ctx, whole)
	}
	return db, nil
}

// all returns every database, with the barrier's tables.
func (b *Barrier) all(ctx context.Context) ([]*store.DB, error) {
	if b.opts.Databases == nil {
		return nil, nil
	}
	list := b.opts.Databases()
	for _, db := range list {
		if err := Migrate(ctx, db); err != nil {
			return nil, err
		}
	}
	return list, nil
}
