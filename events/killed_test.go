package events_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/gowarren/warren/events"
	"github.com/gowarren/warren/events/driver"
	eventstestv1 "github.com/gowarren/warren/events/internal/testpb/eventstest/v1"
	"github.com/gowarren/warren/events/natsevents"
	"github.com/gowarren/warren/internal/engines/enginestest"
	"github.com/gowarren/warren/store"
)

// killVariable has this program be a service that kills itself: it holds where, the
// broker, and the database.
const killVariable = "WARREN_TEST_KILL"

// The points at which a service dies.
const (
	beforePublishing = "committed, not published"
	afterPublishing  = "accepted, not noted"
	whileHandling    = "handled, not committed"
	afterHandling    = "committed, not confirmed"
)

const killedEvents = 10

// TestKilled kills a service with SIGKILL at each point between its commit and the
// confirmation of what it handled. Its handler writes and publishes in one
// transaction: whatever happens, each event has its effect once, and what it leads
// to has its effect once, too.
func TestKilled(t *testing.T) {
	for _, at := range []string{beforePublishing, afterPublishing, whileHandling, afterHandling} {
		t.Run(at, func(t *testing.T) { killedAt(t, at) })
	}
}

func killedAt(t *testing.T, at string) {
	nats := enginestest.StartNATS(t)
	file := filepath.Join(t.TempDir(), "killed.db")
	victim := exec.CommandContext(t.Context(), os.Args[0])
	victim.Env = append(os.Environ(), killVariable+"="+strings.Join([]string{at, nats.Endpoint(), file}, "\n"))
	out, err := victim.CombinedOutput()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the service was to be killed: %v: %s", err, out)
	}
	db, bus, err := killable(t.Context(), nats.Endpoint(), file, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	t.Cleanup(func() { _ = bus.Close() })
	run(t, bus)
	var first int
	if err := db.QueryRow(t.Context(), `SELECT COUNT(*) FROM committed`).Scan(&first); err != nil {
		t.Fatal(err)
	}
	want := make([]int64, first)
	for n := range want {
		want[n] = int64(n)
	}
	if first == 0 {
		t.Fatal("the service committed nothing before it died")
	}
	for _, table := range []string{"moved", "seen"} {
		eventually(t, table, func() bool { return count(t, db, `SELECT COUNT(*) FROM `+table) >= first })
		eventually(t, "nothing is under way", func() bool {
			return count(t, db, `SELECT (SELECT COUNT(*) FROM warren_outbox WHERE state = 0) + (SELECT COUNT(*) FROM warren_retries)`) == 0
		})
		got := numbersOf(t, db, table)
		slices.Sort(got) // what is seen has no key, and no order
		if !slices.Equal(got, want) {
			t.Errorf("%s is %v, want 0 to %d, once each", table, got, first-1)
		}
	}
}

func numbersOf(t *testing.T, db *store.DB, table string) (out []int64) {
	t.Helper()
	rows, err := db.Query(t.Context(), `SELECT number FROM `+table)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			t.Fatal(err)
		}
		out = append(out, n)
	}
	return out
}

// killable is the service: it publishes Moved, whose handler publishes Seen.
func killable(ctx context.Context, broker, file, at string) (*store.DB, *events.Bus, error) {
	db, err := store.Open(ctx, "sqlite:"+file, store.Options{})
	if err != nil {
		return nil, nil, err
	}
	for _, table := range []string{"committed", "moved", "seen"} {
		if _, err := db.Exec(ctx, `CREATE TABLE IF NOT EXISTS `+table+` (number INTEGER NOT NULL)`); err != nil {
			return nil, nil, err
		}
	}
	d, err := natsevents.Open(ctx, &url.URL{Scheme: "nats", Host: broker, Path: "/killed", RawQuery: "ack_wait=1s"})
	if err != nil {
		return nil, nil, err
	}
	bus := events.New(&mortal{d, at}, db, events.Options{Service: "s", Logger: slog.New(slog.DiscardHandler)})
	moved := func(ctx context.Context, tx *store.Tx, e *eventstestv1.Moved) error {
		if err := insert(ctx, tx, "moved", e.GetNumber()); err != nil {
			return err
		}
		if err := events.Publish(ctx, tx, &eventstestv1.Seen{Number: e.GetNumber()}); err != nil {
			return err
		}
		if at == whileHandling && e.GetNumber() == killedEvents/2 {
			die()
		}
		return nil
	}
	seen := func(ctx context.Context, tx *store.Tx, e *eventstestv1.Seen) error {
		return insert(ctx, tx, "seen", e.GetNumber())
	}
	return db, bus, errors.Join(events.Subscribe(ledger{bus}, moved), events.Subscribe(ledger{bus}, seen))
}

func insert(ctx context.Context, tx *store.Tx, table string, n int64) error {
	_, err := tx.Exec(ctx, `INSERT INTO `+table+` (number) VALUES (?)`, n)
	return err
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // until it has arrived
}

// mortal is a driver that kills its process.
type mortal struct {
	driver.Driver
	at string
}

func (m *mortal) Publish(ctx context.Context, batch []driver.Message) []error {
	late := slices.ContainsFunc(batch, func(m driver.Message) bool { return isMoved(m, killedEvents/2) })
	if late && m.at == beforePublishing {
		die()
	}
	errs := m.Driver.Publish(ctx, batch)
	if late && m.at == afterPublishing && errors.Join(errs...) == nil {
		die()
	}
	return errs
}

func (m *mortal) Subscribe(ctx context.Context, s driver.Subscription, handle func(driver.Message) error) error {
	return m.Driver.Subscribe(ctx, s, func(msg driver.Message) error {
		err := handle(msg)
		if m.at == afterHandling && err == nil && isMoved(msg, killedEvents/2) {
			die()
		}
		return err
	})
}

// isMoved tells whether it is the Moved with the number, which is its header, too.
func isMoved(m driver.Message, n int) bool { return m.Headers["number"] == strconv.Itoa(n) }

// victim publishes until it is killed.
func victim(how string) int {
	parts := strings.Split(how, "\n")
	ctx := context.Background()
	db, bus, err := killable(ctx, parts[1], parts[2], parts[0])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	go func() { fmt.Fprintln(os.Stderr, bus.Run(ctx)) }()
	if err := bus.Ready(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for n := range int64(killedEvents) {
		err := db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
			if err := insert(ctx, tx, "committed", n); err != nil {
				return err
			}
			return events.Publish(ctx, tx, &eventstestv1.Moved{Account: "ada", Number: n}, events.WithHeader("number", strconv.FormatInt(n, 10)))
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	select {}
}
