package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"

	"github.com/gowarren/warren/internal/openurl"
	"github.com/gowarren/warren/telemetry"
)

// Dialect names the SQL that a database speaks.
type Dialect string

// The dialects. MySQL stands for MariaDB too.
const (
	SQLite     Dialect = "sqlite"
	PostgreSQL Dialect = "postgres"
	MySQL      Dialect = "mysql"
)

// Options say how a database is used. The zero value works.
type Options struct {
	// Name tells this database from the others of the process in metrics, logs
	// and spans; two open databases can't share one. Default: "main".
	Name string
	// Logger gets slow queries and oddities of the schema. Default: none.
	Logger *slog.Logger
	// Metrics gets the pool's gauges and the duration of queries. Default: none.
	Metrics prometheus.Registerer
	// Tracer records a span for each query of a recorded trace. Default: none.
	Tracer *telemetry.Tracer
	// SlowQuery is the duration from which a query is logged, with its text and
	// never with its arguments. Default: 500 ms; negative: never.
	SlowQuery time.Duration
	// MaxOpen bounds the connections; the URL's max_open goes before it. On
	// SQLite it bounds the readers, as there is only one writer. Default: 16.
	MaxOpen int
}

const (
	defaultSlowQuery = 500 * time.Millisecond
	defaultMaxOpen   = 16
	idleTime         = 5 * time.Minute
	lifetime         = 30 * time.Minute // so that a moved server is noticed
)

func (o Options) withDefaults() Options {
	if o.Name == "" {
		o.Name = "main"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.SlowQuery == 0 {
		o.SlowQuery = defaultSlowQuery
	}
	if o.MaxOpen <= 0 {
		o.MaxOpen = defaultMaxOpen
	}
	return o
}

// DB is a database. It is safe for concurrent use.
type DB struct {
	name    string
	opts    Options
	engine  *engine
	write   *sql.DB
	read    *sql.DB // the same as write where the engine has no single writer
	texts   *statements
	metrics *metrics
	// attached are parts of the program that work on this database.
	attached sync.Map
	// canPrepare: the server was asked and can.
	canPrepare atomic.Bool
	// preparing is where transactions are prepared: the same as write, or a pool
	// of its own where they keep their connections.
	preparing *sql.DB
	holds     atomic.Bool // they do
	held      heldTransactions
}

// Querier is what DB and Tx share, for code that runs in either.
type Querier interface {
	Query(ctx context.Context, query string, args ...any) (*Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) *Row
	Exec(ctx context.Context, query string, args ...any) (int64, error)
}

var (
	_ Querier = (*DB)(nil)
	_ Querier = (*Tx)(nil)
)

// engine is what differs between the databases.
type engine struct {
	dialect Dialect
	place   []attribute.KeyValue // what spans say of where it is
	write   driver.Connector
	read    driver.Connector // nil: readers share the writers' pool
	maxOpen int              // from the URL; 0: as in the options
	// fault tells what an error of the driver means.
	fault func(error) fault
	// twoPhase, when set, is how transactions are prepared.
	twoPhase *twoPhase
}

// Open returns the database at the URL:
//
//	sqlite:data/shop.db?synchronous=normal
//	postgres://user:password@host:5432/database?sslmode=require
//	mysql://user:password@host:3306/database?tls=true
//
// It refuses a wrong URL but does not connect: that happens when the first
// query needs it, and again by itself whenever the database was away. Ask
// [DB.Ping] whether it is there.
func Open(ctx context.Context, address string, opts Options) (*DB, error) {
	opts = opts.withDefaults()
	e, err := openurl.Open(ctx, "database", address, map[string]openurl.Opener[*engine]{
		"sqlite":     openSQLite,
		"postgres":   func(_ context.Context, u *url.URL) (*engine, error) { return openPostgres(u, opts.Name) },
		"postgresql": func(_ context.Context, u *url.URL) (*engine, error) { return openPostgres(u, opts.Name) },
		"mysql":      openMySQL,
	})
	if err != nil {
		return nil, err
	}
	db := &DB{name: opts.Name, opts: opts, engine: e, texts: newStatements(e.dialect)}
	db.openPools()
	if db.metrics, err = newMetrics(db); err != nil {
		return nil, errors.Join(fmt.Errorf("register metrics of database %q: %w", opts.Name, err), db.closePools())
	}
	return db, nil
}

func (db *DB) openPools() {
	size := db.opts.MaxOpen
	if db.engine.maxOpen > 0 {
		size = db.engine.maxOpen
	}
	db.write = sql.OpenDB(db.engine.write)
	db.read, db.preparing = db.write, db.write
	if db.Dialect() == MySQL {
		db.preparing = sql.OpenDB(db.engine.write)
		db.preparing.SetMaxOpenConns(size)
		db.preparing.SetConnMaxIdleTime(idleTime)
		db.preparing.SetConnMaxLifetime(lifetime)
	}
	if db.engine.read == nil {
		db.write.SetMaxOpenConns(size)
		db.write.SetMaxIdleConns(size)
		db.write.SetConnMaxIdleTime(idleTime)
		db.write.SetConnMaxLifetime(lifetime)
		return
	}
	// A file needs no fresh connections; opening one costs more than keeping it.
	db.write.SetMaxOpenConns(1)
	db.write.SetMaxIdleConns(1)
	db.read = sql.OpenDB(db.engine.read)
	db.read.SetMaxOpenConns(size)
	db.read.SetMaxIdleConns(size)
}

// Name returns what tells this database from the others of the process.
func (db *DB) Name() string { return db.name }

// Dialect returns the SQL that this database speaks.
func (db *DB) Dialect() Dialect { return db.engine.dialect }

// Attach makes a part of the program findable from the database's transactions,
// as a value is from a context: key is of a type of the part's own.
func (db *DB) Attach(key, value any) { db.attached.Store(key, value) }

// Attached returns what was attached under the key, or nil.
func (db *DB) Attached(key any) any {
	value, _ := db.attached.Load(key)
	return value
}

// Ping tells whether the database answers. Its error is [ErrUnavailable] when
// nobody is there.
func (db *DB) Ping(ctx context.Context) error {
	if err := db.read.PingContext(ctx); err != nil {
		return fmt.Errorf("ping database %q: %w", db.name, db.explain(ctx, err))
	}
	return nil
}

// Close ends the connections, when their queries have ended.
func (db *DB) Close() error {
	db.metrics.unregister()
	if err := db.closePools(); err != nil {
		return fmt.Errorf("close database %q: %w", db.name, err)
	}
	return nil
}

func (db *DB) closePools() error {
	if db.preparing != db.write {
		db.held.close()
		return errors.Join(db.preparing.Close(), db.write.Close())
	}
	if db.read == db.write {
		return db.write.Close()
	}
	// The writer goes last: SQLite folds the log into the file when the last
	// connection ends, and a reader isn't allowed to.
	return errors.Join(db.read.Close(), db.write.Close())
}
