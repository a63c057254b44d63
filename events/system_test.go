package events_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"github.com/gowarren/warren"
	"github.com/gowarren/warren/events"
	eventstestv1 "github.com/gowarren/warren/events/internal/testpb/eventstest/v1"
	"github.com/gowarren/warren/internal/edge"
	"github.com/gowarren/warren/internal/supervisor"
	"github.com/gowarren/warren/store"
)

// TestMain is also the program of the system that TestSystem brings up, and the
// service that TestKilled kills.
func TestMain(m *testing.M) {
	if how := os.Getenv(killVariable); how != "" {
		os.Exit(victim(how))
	}
	if os.Getenv("WARREN_PARENT_FD") == "" {
		goleak.VerifyTestMain(m)
		return
	}
	switch role := os.Args[1]; role {
	case "gateway":
		if err := edge.Run(context.Background(), os.Args[2:], io.Discard); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "bank":
		os.Args = os.Args[:1]
		warren.Main(bank)
	case "auditor":
		os.Args = os.Args[:1]
		warren.Main(auditor)
	}
}

var numbers = fstest.MapFS{"0001_numbers.sql": {Data: []byte(`CREATE TABLE numbers (seq INTEGER PRIMARY KEY AUTOINCREMENT, number INTEGER NOT NULL)`)}}

// bank publishes numbers, one after the other, and notes what it published.
func bank(ctx context.Context, app *warren.App) error {
	db, err := app.Database(ctx, numbers)
	if err != nil {
		return err
	}
	bus := app.Events()
	app.Go("publish", func(ctx context.Context) error {
		if err := bus.Ready(ctx); err != nil {
			return err
		}
		ticker := time.NewTicker(25 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return nil
			}
			err := db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
				var next int64
				if err := tx.QueryRow(ctx, `SELECT COUNT(*) + 1 FROM numbers`).Scan(&next); err != nil {
					return err
				}
				if _, err := tx.Exec(ctx, `INSERT INTO numbers (number) VALUES (?)`, next); err != nil {
					return err
				}
				return events.Publish(ctx, tx, &eventstestv1.Moved{Account: "ada", Number: next})
			})
			if err != nil && ctx.Err() == nil {
				return err
			}
		}
	})
	return nil
}

// auditor notes what it is told.
func auditor(ctx context.Context, app *warren.App) error {
	if _, err := app.Database(ctx, numbers); err != nil {
		return err
	}
	return events.Subscribe(app, func(ctx context.Context, tx *store.Tx, e *eventstestv1.Moved) error {
		_, err := tx.Exec(ctx, `INSERT INTO numbers (number) VALUES (?)`, e.GetNumber())
		return err
	})
}

// TestSystem has one service of a running system publish and another listen,
// while the embedded broker, and then the whole system, end and are started
// again. Nothing is lost, nothing comes twice, and the order holds.
func TestSystem(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "w") // short: it holds sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file := filepath.Join(dir, "warren.yaml")
	text := fmt.Sprintf("system: test\nservices:\n  bank: {program: %q, args: [bank]}\n  auditor: {program: %q, args: [auditor], replicas: 2}\ngateway: {address: \"127.0.0.1:0\"}\n", program, program)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	opts := supervisor.Options{File: file, Program: program}

	first := up(t, opts)
	published, audited := openTable(t, dir, "bank"), openTable(t, dir, "auditor")
	await(t, audited, 20)
	if err := first.RestartEvents(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(t, audited, len(read(t, published))+20)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	before := len(read(t, published))
	second := up(t, opts)
	await(t, audited, before+20)
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	got, all := read(t, audited), read(t, published)
	if want := all[:len(got)]; !slices.Equal(got, want) {
		t.Errorf("of %d events published, these arrived, in this order: %v", len(all), got)
	}
	t.Logf("published %d, audited %d", len(all), len(got))
}

func up(t *testing.T, opts supervisor.Options) *supervisor.Supervisor {
	t.Helper()
	s, err := supervisor.Up(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	return s
}

func openTable(t *testing.T, dir, service string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(dir, ".warren", service+".db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func read(t *testing.T, db *store.DB) (out []int64) {
	t.Helper()
	rows, err := db.Query(t.Context(), `SELECT number FROM numbers ORDER BY seq`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			t.Fatal(err)
		}
		out = append(out, n)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// await returns when so many events have arrived.
func await(t *testing.T, db *store.DB, n int) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(time.Minute)
	for len(read(t, db)) < n {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("events are missing: got %d of %d", len(read(t, db)), n)
		}
	}
}
