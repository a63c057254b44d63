package idempotency

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/internal/inshard"
	"github.com/gowarren/warren/store"
)

//go:embed migrations
var migrations embed.FS

// Table is where the keys are kept. It has the columns id, its key, and shard.
const Table = "warren_idempotency"

const migrationSet = "warren.idempotency"

// Migrate makes the table in a database.
func Migrate(ctx context.Context, db *store.DB) error {
	return db.MigrateSet(ctx, migrationSet, migrations)
}

// Database is where a call has its effects: a [store.DB], or one shard of
// several databases, which says its number too.
type Database interface {
	InTx(ctx context.Context, fn func(ctx context.Context, tx *store.Tx) error, opts ...store.TxOption) error
}

// numbered is a Database that is a shard.
type numbered interface{ Number() int }

func shardOf(db Database) int {
	if n, ok := db.(numbered); ok {
		return n.Number()
	}
	return inshard.None
}

// Options say what Keys need. Only Database is required.
type Options struct {
	// Database returns where the method, "/shop.order.v1.OrderService/PlaceOrder",
	// has its effects for the request.
	Database func(ctx context.Context, fullMethod string, req proto.Message) (Database, error)
	// Settings are the live numbers; nil: the defaults.
	Settings *config.Settings
	// Logger; nil: slog.Default.
	Logger *slog.Logger
	// Metrics gets warren_idempotency_calls_total; nil: none.
	Metrics prometheus.Registerer
}

// Keys stand before the handlers of a service. They are safe for concurrent use.
type Keys struct {
	opts    Options
	keep    *config.Value[time.Duration]
	lease   *config.Value[time.Duration]
	metrics *metrics
}

// New returns keys that are kept where the options say. The databases have the
// table; see [Migrate].
func New(opts Options) (*Keys, error) {
	if opts.Database == nil {
		return nil, errors.New("idempotency needs to know its database")
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	k := &Keys{
		opts: opts,
		keep: config.Watch(opts.Settings, settingKeep, config.Scope{}), lease: config.Watch(opts.Settings, settingLease, config.Scope{}),
	}
	var err error
	if k.metrics, err = newMetrics(opts.Metrics); err != nil {
		return nil, fmt.Errorf("register metrics of idempotency: %w", err)
	}
	return k, nil
}

// In returns a func for Options.Database of a service with one database.
func In(db Database) func(context.Context, string, proto.Message) (Database, error) {
	return func(context.Context, string, proto.Message) (Database, error) { return db, nil }
}

// method returns the contract of a method, nil if it is not linked in.
func method(fullMethod string) *contract.Method {
	read, err := contract.Linked(fullMethod)
	if err != nil {
		return nil
	}
	return read.Method(path.Base(fullMethod))
}
