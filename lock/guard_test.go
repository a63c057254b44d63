package lock_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/gowarren/warren/lock"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
)

func TestGuardOnSQLite(t *testing.T)     { guards(t, storetest.SQLite(t)) }
func TestGuardOnPostgreSQL(t *testing.T) { guards(t, storetest.PostgreSQL(t)) }
func TestGuardOnMySQL(t *testing.T)      { guards(t, storetest.MySQL(t)) }

// guards has holders write to a row that only the newest may write to.
func guards(t *testing.T, url string) {
	db, err := store.Open(t.Context(), url, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := lock.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(t.Context(), `CREATE TABLE guarded (id BIGINT NOT NULL PRIMARY KEY, token BIGINT NOT NULL)`); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(t.Context(), `INSERT INTO guarded (id, token) VALUES (1, 0)`); err != nil {
		t.Fatal(err)
	}
	write := func(name string, token int64) error {
		return db.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			if err := lock.Guard(ctx, tx, name, token); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `UPDATE guarded SET token = ? WHERE id = 1`, token)
			return err
		})
	}
	for i, step := range []struct {
		token int64
		lost  bool
	}{{5, false}, {5, false}, {7, false}, {5, true}, {6, true}, {7, false}, {8, false}} {
		if err := write("ledger", step.token); errors.Is(err, lock.ErrLost) != step.lost || !step.lost && err != nil {
			t.Errorf("step %d: token %d: got %v", i, step.token, err)
		}
	}
	if err := write("another", 1); err != nil {
		t.Errorf("another lock has its own tokens: %v", err)
	}
	for _, name := range []string{"", strings.Repeat("n", 201)} {
		if write(name, 1) == nil {
			t.Errorf("a name of %d bytes is accepted", len(name))
		}
	}

	// Many holders at once: what the last of them wrote stays.
	var holders sync.WaitGroup
	errs := make(chan error, 20)
	for token := range int64(20) {
		holders.Go(func() {
			if err := write("ledger", 100+token); err != nil && !errors.Is(err, lock.ErrLost) {
				errs <- fmt.Errorf("token %d: %w", 100+token, err)
			}
		})
	}
	holders.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	var last int64
	if err := db.QueryRow(t.Context(), `SELECT token FROM guarded WHERE id = 1`).Scan(&last); err != nil || last != 119 {
		t.Errorf("the row was last written by %d, want 119: %v", last, err)
	}
}

// TestHeldGuards: a holder that wakes up too late is refused by what it wants to
// write to.
func TestHeldGuards(t *testing.T) {
	m := newMemory()
	l := open(t, m, lock.Options{})
	first := try(t, l, "ledger")
	m.steal()
	second := try(t, l, "ledger")
	db, err := store.Open(t.Context(), storetest.SQLite(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := lock.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	if err := db.InTx(t.Context(), second.Guard); err != nil {
		t.Fatal(err)
	}
	if err := db.InTx(t.Context(), first.Guard); !errors.Is(err, lock.ErrLost) {
		t.Errorf("the first holder: got %v, want %v", err, lock.ErrLost)
	}
	_ = first.Release(t.Context())
	_ = second.Release(t.Context())
}
