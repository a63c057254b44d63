package shards_test

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/shards"
	"github.com/gowarren/warren/store/storetest"
)

//go:embed testdata
var testdata embed.FS

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(child(role))
	}
	goleak.VerifyTestMain(m)
}

// each runs the test with two fresh databases of each kind.
func each(t *testing.T, test func(t *testing.T, urls []string)) {
	t.Helper()
	for name, fresh := range map[string]func(testing.TB) string{
		"sqlite": storetest.SQLite, "postgres": storetest.PostgreSQL, "mysql": storetest.MySQL,
	} {
		t.Run(name, func(t *testing.T) { test(t, []string{fresh(t), fresh(t)}) })
	}
}

func options() shards.Options {
	migrations, err := fs.Sub(testdata, "testdata")
	if err != nil {
		panic(err)
	}
	return shards.Options{
		Migrations: migrations,
		Tables: []shards.Table{
			{Name: "orders", Shard: "shard", Key: []string{"id"}},
			{Name: "order_lines", Shard: "shard", Key: []string{"order_id", "number"}},
		},
		Shards: 8,
	}
}

func open(t testing.TB, opts shards.Options, urls ...string) *shards.Shards {
	t.Helper()
	s, err := shards.Open(t.Context(), urls, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// place writes an order with lines, in one transaction.
func place(ctx context.Context, s *shards.Shards, shard int, id string, amount int64, lines int) error {
	return s.InTx(ctx, shard, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO orders (id, shard, customer, amount, paid, weight, note, document) VALUES (?, ?, ?, ?, FALSE, ?, NULL, ?)`,
			id, shard, "c"+id, amount, 0.5, []byte{0, 1, 255})
		if err != nil {
			return err
		}
		for n := range lines {
			if _, err := tx.Exec(ctx, `INSERT INTO order_lines (order_id, number, shard, sku) VALUES (?, ?, ?, ?)`, id, n, shard, "sku ü '\" "+id); err != nil {
				return err
			}
		}
		return nil
	})
}

// amount reads an order's amount, and how many lines it has.
func amount(ctx context.Context, s *shards.Shards, shard int, id string, opts ...store.TxOption) (amount int64, lines int, err error) {
	err = s.InTx(ctx, shard, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT amount FROM orders WHERE id = ?`, id).Scan(&amount); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT COUNT(*) FROM order_lines WHERE order_id = ?`, id).Scan(&lines)
	}, opts...)
	return amount, lines, err
}

// rowsIn counts what a database has of a shard, whoever owns it.
func rowsIn(t testing.TB, address string, shard int) (orders, lines int) {
	t.Helper()
	db, err := store.Open(t.Context(), address, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.QueryRow(t.Context(), `SELECT COUNT(*) FROM orders WHERE shard = ?`, shard).Scan(&orders); err != nil {
		t.Fatal(err)
	}
	if err := db.QueryRow(t.Context(), `SELECT COUNT(*) FROM order_lines WHERE shard = ?`, shard).Scan(&lines); err != nil {
		t.Fatal(err)
	}
	return orders, lines
}

func placement(t testing.TB, s *shards.Shards, shard int) shards.Placement {
	t.Helper()
	all, err := s.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all[shard]
}

// other is the URL of the two that the shard isn't at.
func other(t testing.TB, s *shards.Shards, shard int, urls []string) string {
	t.Helper()
	at := placement(t, s, shard).Database
	for _, u := range urls {
		bare, _, _ := strings.Cut(u, "?")
		if !strings.HasSuffix(at, bare[strings.LastIndex(bare, "/"):]) || strings.HasPrefix(u, "sqlite:") && at != bare {
			return u
		}
	}
	t.Fatalf("shard %d is at %s, none of %v", shard, at, urls)
	return ""
}

func id(shard, n int) string { return fmt.Sprintf("%s-%d", shards.NewID(shard, time.Now()), n) }
