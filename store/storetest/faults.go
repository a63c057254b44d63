package storetest

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gowarren/warren/store"
)

// endless is a query that runs for long, in each dialect.
var endless = map[store.Dialect]string{
	store.SQLite:     `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000) SELECT COUNT(*) FROM n`,
	store.PostgreSQL: `SELECT COUNT(*) FROM pg_sleep(50)`,
	store.MySQL:      `SELECT SLEEP(50)`,
}

// soon is when something that was cancelled must have ended at the latest.
const soon = 30 * time.Second

var faults = map[string]func(*bench){
	"CancelledQueriesLeakNothing": func(b *bench) {
		metrics := prometheus.NewRegistry()
		db := b.open(store.Options{Name: "small", MaxOpen: 3, Metrics: metrics})
		b.accounts(1)
		for i := range 15 {
			ctx, cancel := context.WithTimeout(b.ctx, time.Duration(2*i)*time.Millisecond)
			began := time.Now()
			_, err := endlessly(ctx, db)
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) {
				b.Fatalf("got %v; want the deadline", err)
			}
			if took := time.Since(began); took > soon {
				b.Fatalf("a query cancelled after %d ms took %v", 2*i, took)
			}
		}
		if used := gauge(b, metrics, "used"); used != 0 {
			b.Errorf("%v connections are in use though no query runs", used)
		}
		for _, err := range together(12, func(int) error { return addMany(b.ctx, db) }) {
			b.must(err)
		}
	},
	"RowsLeftEarly": func(b *bench) {
		db := b.open(store.Options{Name: "small", MaxOpen: 2})
		b.accounts(5)
		for range 10 { // more often than there are connections
			rows, err := db.Query(b.ctx, `SELECT id FROM accounts`)
			b.must(err)
			rows.Next()
			b.must(rows.Close())
			var id int
			b.must(db.QueryRow(b.ctx, `SELECT id FROM accounts ORDER BY id`).Scan(&id))
		}
	},
	"WaitingForALockEndsWithTheContext": func(b *bench) {
		b.accounts(1)
		other := b.open(store.Options{Name: "other"})
		b.must(b.db.InTx(b.ctx, func(_ context.Context, tx *store.Tx) error {
			b.exec(tx, `UPDATE accounts SET balance = 5`)
			for _, db := range []*store.DB{b.db, other} {
				ctx, cancel := context.WithTimeout(b.ctx, 50*time.Millisecond)
				began := time.Now()
				_, err := db.Exec(ctx, `UPDATE accounts SET balance = 6`)
				cancel()
				if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > soon {
					b.Errorf("got %v after %v; want the deadline", err, time.Since(began))
				}
			}
			return nil
		}))
	},
	"ConnectionsKilledWhileIdle": func(b *bench) {
		if b.sqlite() {
			return // has none
		}
		b.accounts(1)
		for range 3 {
			b.fill(b.db)
			b.kill()
			b.exec(b.db, `UPDATE accounts SET balance = balance + 1`)
			b.fill(b.db)
			b.kill()
			b.must(b.db.InTx(b.ctx, func(_ context.Context, tx *store.Tx) error {
				_, err := tx.Exec(b.ctx, `UPDATE accounts SET balance = balance + 1`)
				return err
			}))
			b.fill(b.db)
			b.kill()
			b.balance(b.db, 0)
		}
		if got := b.balance(b.db, 0); got != 6 {
			b.Errorf("balance is %d; want 6", got)
		}
	},
	"ConnectionKilledInATransaction": func(b *bench) {
		if b.sqlite() {
			return // see ProcessKilledInATransaction
		}
		b.accounts(1)
		attempts := 0
		b.must(b.db.InTx(b.ctx, func(ctx context.Context, tx *store.Tx) error {
			attempts++
			if _, err := tx.Exec(ctx, `UPDATE accounts SET balance = balance + 1`); err != nil {
				return err
			}
			if attempts == 1 {
				b.kill()
			}
			_, err := tx.Exec(ctx, `UPDATE accounts SET balance = balance + 1`)
			return err
		}))
		if got := b.balance(b.db, 0); got != 2 || attempts != 2 {
			b.Errorf("balance is %d after %d attempts; want 2 after 2", got, attempts)
		}
	},
	"AwayAndBack": func(b *bench) {
		if b.sqlite() {
			b.fileAwayAndBack()
			return
		}
		b.serverAwayAndBack()
	},
}

func endlessly(ctx context.Context, db *store.DB) (n int, err error) {
	err = db.QueryRow(ctx, endless[db.Dialect()]).Scan(&n)
	return n, err
}

// fill opens several connections and leaves them idle.
func (b *bench) fill(db *store.DB) {
	b.Helper()
	meet := make(chan struct{})
	here := make(chan struct{}, 4)
	go func() {
		for range 4 {
			<-here
		}
		close(meet)
	}()
	for _, err := range together(4, func(int) error {
		return db.InTx(b.ctx, func(ctx context.Context, tx *store.Tx) error {
			here <- struct{}{}
			<-meet
			return nil
		})
	}) {
		b.must(err)
	}
}

// kill ends all other connections to the database, as an administrator may.
func (b *bench) kill() {
	b.Helper()
	admin := b.open(store.Options{Name: "admin", MaxOpen: 1})
	list := `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`
	if b.db.Dialect() == store.MySQL {
		list = `SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()`
	}
	rows, err := admin.Query(b.ctx, list)
	b.must(err)
	var ids []int64
	for rows.Next() {
		var id int64
		b.must(rows.Scan(&id))
		ids = append(ids, id)
	}
	b.must(rows.Err())
	for _, id := range ids {
		if b.db.Dialect() == store.MySQL {
			b.exec(admin, `KILL `+strconv.FormatInt(id, 10))
		} else {
			b.exec(admin, `SELECT pg_terminate_backend(?)`, id)
		}
	}
	if b.db.Dialect() == store.PostgreSQL {
		for _, id := range ids { // it only asked them to end; this waits
			b.exec(admin, `SELECT pg_terminate_backend(?, 5000)`, id)
		}
	}
	b.must(admin.Close())
}

// unavailable checks that everything says that nobody is there, and soon.
func (b *bench) unavailable(db *store.DB) {
	b.Helper()
	var n int
	for what, do := range map[string]func() error{
		"Ping":    func() error { return db.Ping(b.ctx) },
		"Query":   func() error { return db.QueryRow(b.ctx, `SELECT 1`).Scan(&n) },
		"Exec":    func() error { _, err := db.Exec(b.ctx, `DELETE FROM accounts`); return err },
		"InTx":    func() error { return db.InTx(b.ctx, func(context.Context, *store.Tx) error { return nil }) },
		"Migrate": func() error { return db.Migrate(b.ctx, steps(first)) },
	} {
		began := time.Now()
		if err := do(); !errors.Is(err, store.ErrUnavailable) {
			b.Errorf("%s: got %v; want ErrUnavailable", what, err)
		}
		if took := time.Since(began); took > soon {
			b.Errorf("%s took %v", what, took)
		}
	}
}

func (b *bench) works(db *store.DB) {
	b.Helper()
	b.must(db.Ping(b.ctx))
	b.must(db.Migrate(b.ctx, steps(first)))
	b.exec(db, `DELETE FROM things`)
}

func (b *bench) fileAwayAndBack() {
	dir := filepath.Join(b.TempDir(), "data")
	b.must(os.WriteFile(dir, nil, 0o600)) // a file where the folder should be
	db, err := store.Open(b.ctx, "sqlite:"+dir+"/test.db", store.Options{})
	b.must(err)
	defer db.Close()
	b.unavailable(db)
	b.must(os.Remove(dir))
	b.works(db)
}

func (b *bench) serverAwayAndBack() {
	u, err := url.Parse(b.address)
	b.must(err)
	line := NewLine(b, u.Host)
	u.Host = line.Address()
	db, err := store.Open(b.ctx, u.String(), store.Options{})
	b.must(err)
	defer db.Close()
	b.unavailable(db) // from the start
	line.Connect()
	b.works(db)
	b.fill(db)
	line.Cut() // with connections open
	b.unavailable(db)
	line.Connect()
	b.works(db)
}

// gauge reads how many connections of all pools are in a state.
func gauge(b *bench, metrics *prometheus.Registry, state string) (sum float64) {
	b.Helper()
	families, err := metrics.Gather()
	b.must(err)
	for _, family := range families {
		if family.GetName() != "db_client_connection_count" {
			continue
		}
		for _, m := range family.GetMetric() {
			for _, label := range m.GetLabel() {
				if label.GetValue() == state {
					sum += m.GetGauge().GetValue()
				}
			}
		}
	}
	return sum
}
