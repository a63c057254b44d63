package storetest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gowarren/warren/store"
)

// patience bounds each test of the suite: a deadlock shows as an error.
const patience = 60 * time.Second

// Run checks that a database does what package store promises. fresh returns the
// URL of an empty database.
func Run(t *testing.T, fresh func(testing.TB) string) {
	fresh(t) // a server that isn't there is one complaint, not one per test
	for _, part := range []struct {
		name  string
		tests map[string]func(*bench)
	}{
		{"Values", values},
		{"Portable", portable},
		{"Transactions", transactions},
		{"Joinable", joinable},
		{"Prepared", prepared},
		{"Contention", contention},
		{"Migrations", migrations},
		{"Faults", faults},
	} {
		t.Run(part.name, func(t *testing.T) {
			for name, test := range part.tests {
				t.Run(name, func(t *testing.T) {
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					defer cancel()
					address := fresh(t)
					b := &bench{T: t, ctx: ctx, address: address}
					b.db = b.open(store.Options{})
					test(b)
				})
			}
		})
	}
}

// bench is what a test of the suite works on.
type bench struct {
	*testing.T
	ctx     context.Context
	address string
	db      *store.DB
}

// open returns another handle of the same database, as another instance has.
func (b *bench) open(opts store.Options) *store.DB {
	b.Helper()
	db, err := store.Open(b.ctx, b.address, opts)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Errorf("close: %v", err)
		}
	})
	return db
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) exec(q store.Querier, query string, args ...any) int64 {
	b.Helper()
	n, err := q.Exec(b.ctx, query, args...)
	b.must(err)
	return n
}

// schema applies scripts as steps 0001, 0002, ….
func (b *bench) schema(scripts ...string) {
	b.Helper()
	b.must(b.db.Migrate(b.ctx, steps(scripts...)))
}

// accounts makes the table that the tests of transactions move money in.
func (b *bench) accounts(n int) {
	b.Helper()
	b.schema(`CREATE TABLE accounts (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL);`)
	for id := range n {
		b.exec(b.db, `INSERT INTO accounts (id, balance) VALUES (?, 0)`, id)
	}
}

func (b *bench) balance(q store.Querier, id int) int64 {
	b.Helper()
	var n int64
	b.must(q.QueryRow(b.ctx, `SELECT balance FROM accounts WHERE id = ?`, id).Scan(&n))
	return n
}

// sqlite says whether there is but one writer and no server.
func (b *bench) sqlite() bool { return b.db.Dialect() == store.SQLite }

func steps(scripts ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for i, script := range scripts {
		fsys[fmt.Sprintf("migrations/%04d_step.sql", i+1)] = &fstest.MapFile{Data: []byte(script)}
	}
	return fsys
}

// The suite's second process is the test's own binary with these variables.
const (
	childVariable = "WARREN_STORETEST_ROLE"
	childAddress  = "WARREN_STORETEST_ADDRESS"
)

// roles are what a second process can do.
var roles = map[string]func(context.Context, *store.DB) error{
	"add":     addMany,
	"migrate": func(ctx context.Context, db *store.DB) error { return db.Migrate(ctx, manySteps()) },
	"hold":    holdAndHang,
	"prepare": prepareAndDie,
}

func child(role, address string) int {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	db, err := store.Open(ctx, address, store.Options{})
	if err == nil {
		err = roles[role](ctx, db)
	}
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// process starts the test's binary in a role.
func (b *bench) process(role string) *exec.Cmd {
	cmd := exec.CommandContext(b.ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+role, childAddress+"="+b.address)
	return cmd
}

// processes runs n of a role at once and wants them all to end well.
func (b *bench) processes(n int, role string) {
	b.Helper()
	done := make(chan error, n)
	for range n {
		cmd := b.process(role)
		go func() {
			out, err := cmd.CombinedOutput()
			if err != nil {
				err = fmt.Errorf("process %s: %w: %s", role, err, strings.TrimSpace(string(out)))
			}
			done <- err
		}()
	}
	for range n {
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
}

// together runs n functions at once and returns their errors.
func together(n int, do func(i int) error) []error {
	errs := make([]error, n)
	done := make(chan struct{})
	start := make(chan struct{})
	for i := range n {
		go func() {
			<-start
			errs[i] = do(i)
			done <- struct{}{}
		}()
	}
	close(start)
	for range n {
		<-done
	}
	return errs
}
