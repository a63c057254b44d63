package shards

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gowarren/warren/store"
)

//go:embed migrations
var migrations embed.FS

const (
	defaultShards      = 64
	defaultFenceTime   = 3 * time.Second
	defaultFullCheck   = 100_000
	defaultConcurrency = 4
)

// The errors that callers tell apart, besides those of package store.
var (
	// ErrCrossShard says that a transaction of one shard was to work on another.
	ErrCrossShard = errors.New("a transaction works on one shard only")
	// ErrMoved says that a shard moved away, or was about to, while a transaction
	// around was under way that can't be begun again here. Nothing was changed; the
	// same call works, later.
	ErrMoved = fmt.Errorf("shard is being moved: %w", store.ErrBusy)
	// ErrMoving says that a shard is being moved somewhere else already.
	ErrMoving = errors.New("shard is being moved to another database")
	// ErrSuperseded ends a move that somebody else took over, or gave up.
	ErrSuperseded = errors.New("the move was taken over or given up by another")
	// ErrDiffers says that the copy is not what it should be. The shard stays where
	// it was.
	ErrDiffers = errors.New("the copy of the shard differs")
)

// Table is a table whose rows belong to shards.
type Table struct {
	// Name of the table, and of the column with the shard's number, a BIGINT.
	Name, Shard string
	// Key are the columns of the primary key, which are BIGINT or VARCHAR.
	Key []string
}

// Options say what a set of databases is.
type Options struct {
	// Tables whose rows belong to shards, those before that others point to. Once
	// the service has moved a shard, a table is not left out any more.
	Tables []Table
	// Migrations are the service's, for each of the databases. They are run before
	// the tables are looked for.
	Migrations fs.FS
	// Prepare is called with each database when it is opened, after the migrations:
	// for the tables of other packages. It is called again after an error.
	Prepare func(ctx context.Context, db *store.DB) error
	// Opened is told of every database once it is ready to be used: of those of Open,
	// and of those that join later, by a move.
	Opened func(db *store.DB)
	// BeforeSwitch is called while a shard is fenced and complete, just before it
	// belongs to the other database; an error gives the shard back, and the switch is
	// tried again. Nil: nothing has to be done.
	BeforeSwitch func(ctx context.Context, shard int, from, to *store.DB) error
	// Shards is how many there are. It counts when the first database is set up.
	// Default: 64; at most 1024.
	Shards int
	// Concurrency is how many databases are read at once. Default: 4.
	Concurrency int
	// FenceTime is how long a shard may be fenced while it is moved: a fence that is
	// older belongs to a mover that died. All processes need the same. Default: 3s.
	FenceTime time.Duration
	// FullCheck is up to how many rows a shard is compared in full while it is fenced,
	// at some 100,000 a second. Larger ones are compared before, and counted then.
	// Default: 100,000.
	FullCheck int
	// Database are the options of every database; the names get a number.
	Database store.Options
	// Logger; nil: slog.Default.
	Logger *slog.Logger
	// Metrics gets the warren_shard_… metrics; nil: none.
	Metrics prometheus.Registerer

	// failpoint, in tests, is told where a move is, and ends its process there.
	failpoint func(at string)
}

func (o Options) withDefaults() Options {
	if o.Shards == 0 {
		o.Shards = defaultShards
	}
	if o.Concurrency <= 0 {
		o.Concurrency = defaultConcurrency
	}
	if o.FenceTime <= 0 {
		o.FenceTime = defaultFenceTime
	}
	if o.FullCheck <= 0 {
		o.FullCheck = defaultFullCheck
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Database.Name == "" {
		o.Database.Name = "shards"
	}
	if o.failpoint == nil {
		o.failpoint = func(string) {}
	}
	return o
}

// Shards are a service's databases. They are safe for concurrent use.
type Shards struct {
	opts    Options
	count   int
	setID   string
	home    *member
	metrics *metrics

	mu      sync.RWMutex
	members map[string]*member // by id
	urls    map[string]string  // as this process was told them, by id
	places  []place            // by shard: the map as it was last read
	opening sync.Mutex         // of members that were added later
}

// member is one of the databases.
type member struct {
	id string
	db *store.DB
}

// place is where a shard is.
type place struct {
	member     string
	epoch      int64
	movingTo   string
	leftBehind string // a database that has rows of the shard to be deleted
}

// Open opens the databases at the URLs, the home first, brings their schemas up to
// date, and spreads the shards evenly over them when the home is new. Later, the map
// says which databases there are; URLs here go before those in it, so that a
// password can be changed. A database that is new in the list gets its shards by
// [Shards.Move].
func Open(ctx context.Context, urls []string, opts Options) (*Shards, error) {
	opts = opts.withDefaults()
	if err := check(urls, opts); err != nil {
		return nil, err
	}
	s := &Shards{opts: opts, members: map[string]*member{}, urls: map[string]string{}}
	var err error
	if s.metrics, err = newMetrics(opts.Metrics); err != nil {
		return nil, fmt.Errorf("register metrics of shards: %w", err)
	}
	if err := s.assemble(ctx, urls); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func check(urls []string, opts Options) error {
	if len(urls) == 0 {
		return errors.New("shards need the URL of a database")
	}
	if opts.Shards < 1 || opts.Shards > maxShards {
		return fmt.Errorf("there are 1 to %d shards, not %d", maxShards, opts.Shards)
	}
	for _, t := range opts.Tables {
		if err := t.check(); err != nil {
			return err
		}
	}
	return nil
}

// assemble opens what the URLs name, and then what the map names besides.
func (s *Shards) assemble(ctx context.Context, urls []string) error {
	var listed []string
	for i, address := range urls {
		m, err := s.admit(ctx, address, i == 0)
		if err != nil {
			return fmt.Errorf("shards: database %d of %d: %w", i+1, len(urls), err)
		}
		listed = append(listed, m.id)
	}
	if err := s.register(ctx, listed); err != nil {
		return fmt.Errorf("set up the map of shards: %w", err)
	}
	if err := s.reload(ctx); err != nil {
		return err
	}
	for _, id := range s.owners() {
		m, err := s.member(ctx, id)
		if err == nil {
			err = s.tellOwner(ctx, m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// tellOwner has a database know what the map says of it, so that the first
// transaction finds its shard there.
func (s *Shards) tellOwner(ctx context.Context, m *member) error {
	known, err := epochs(ctx, m.db)
	if err != nil {
		return fmt.Errorf("look which shards database %s has: %w", m.id, err)
	}
	for shard := range s.count {
		if p, err := s.place(shard); err == nil && p.member == m.id && known[shard] < p.epoch {
			if err := s.promote(ctx, m, shard, p.epoch); err != nil {
				return err
			}
		}
	}
	return nil
}

func epochs(ctx context.Context, db *store.DB) (map[int]int64, error) {
	rows, err := db.Query(ctx, `SELECT shard, epoch FROM warren_shard_owners`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := map[int]int64{}
	for rows.Next() {
		var shard int
		var epoch int64
		if err := rows.Scan(&shard, &epoch); err != nil {
			return nil, err
		}
		out[shard] = epoch
	}
	return out, rows.Err()
}

// Count returns how many shards there are.
func (s *Shards) Count() int { return s.count }

// Close closes the databases.
func (s *Shards) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, m := range s.members {
		errs = append(errs, m.db.Close())
	}
	s.members = map[string]*member{}
	s.metrics.unregister(s.opts.Metrics)
	return errors.Join(errs...)
}

// Refresh reads the map again and opens the databases in it that are new. Nothing
// depends on it but that what is done for all databases is done for those, too.
func (s *Shards) Refresh(ctx context.Context) error {
	if err := s.reload(ctx); err != nil {
		return err
	}
	var errs []error
	for _, id := range s.owners() {
		_, err := s.member(ctx, id)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Databases returns the databases as they are open now, the home first.
func (s *Shards) Databases() []*store.DB {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := []*store.DB{s.home.db}
	for _, m := range s.members {
		if m != s.home {
			out = append(out, m.db)
		}
	}
	return out
}

// Ping tells whether all databases that have shards answer.
func (s *Shards) Ping(ctx context.Context) error {
	var errs []error
	for _, id := range s.owners() {
		m, err := s.member(ctx, id)
		if err == nil {
			err = m.db.Ping(ctx)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
