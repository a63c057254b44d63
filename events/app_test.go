package events_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gowarren/warren"
	"github.com/gowarren/warren/events"
	eventstestv1 "github.com/gowarren/warren/events/internal/testpb/eventstest/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/warrentest"
)

var noTables = fstest.MapFS{"0001_things.sql": {Data: []byte(`CREATE TABLE things (id INTEGER PRIMARY KEY)`)}}

// TestBetweenServices publishes in one service and handles in another, while the
// broker is there, while it is not, and after it was started again.
func TestBetweenServices(t *testing.T) {
	sys := warrentest.New(t)
	const each = 20
	var db *store.DB
	seen := make(chan int64, 3*each)
	sys.Run("bank", func(ctx context.Context, app *warren.App) (err error) {
		db, err = app.Database(ctx, noTables)
		app.Events()
		return err
	})
	handler := sys.Run("watcher", watcher(seen))

	publish := func(from int) {
		for n := from; n < from+each; n++ {
			err := db.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				return events.Publish(ctx, tx, &eventstestv1.Moved{Account: "ada", Number: int64(n)})
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	expect := func(from int) {
		for n := from; n < from+each; n++ {
			select {
			case got := <-seen:
				if got != int64(n) {
					t.Fatalf("event %d came when %d was due", got, n)
				}
			case <-time.After(30 * time.Second):
				t.Fatalf("event %d is missing", n)
			}
		}
	}
	publish(0)
	expect(0)
	sys.WithoutEvents(func() { publish(each) })
	expect(each)
	if err := handler.Stop(); err != nil {
		t.Fatal(err)
	}
	publish(2 * each)
	sys.Run("watcher", watcher(seen))
	expect(2 * each)
}

func watcher(seen chan<- int64) func(context.Context, *warren.App) error {
	return func(ctx context.Context, app *warren.App) error {
		if _, err := app.Database(ctx, noTables); err != nil {
			return err
		}
		return events.Subscribe(app, func(_ context.Context, tx *store.Tx, e *eventstestv1.Moved) error {
			tx.AfterCommit(func() { seen <- e.GetNumber() })
			return nil
		})
	}
}

func TestEventsNeedADatabaseAndABroker(t *testing.T) {
	for name, c := range map[string]struct {
		setup func(context.Context, *warren.App) error
		flag  string
		want  string
	}{
		"no database": {
			func(_ context.Context, app *warren.App) error {
				return events.Subscribe(app, func(context.Context, *store.Tx, *eventstestv1.Moved) error { return nil })
			}, "nats://127.0.0.1:1/x", "call Database before Events",
		},
		"unknown broker": {watcher(nil), "pigeon://loft/x", "linked: amqp"},
		"no broker":      {watcher(nil), "", "give --events"},
	} {
		t.Run(name, func(t *testing.T) {
			err := warren.Run(t.Context(), []string{"--service", "lone", "--system-file", "-", "--data", t.TempDir(), "--events", c.flag, "--log-level", "error"}, c.setup)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want it to contain %q", err, c.want)
			}
		})
	}
}

// TestNoEventsNoBroker starts a service without events where no broker could be
// opened.
func TestNoEventsNoBroker(t *testing.T) {
	stop := errors.New("enough")
	err := warren.Run(t.Context(), []string{"--service", "lone", "--system-file", "-", "--data", t.TempDir(), "--events", "pigeon://loft/x", "--log-level", "error"},
		func(context.Context, *warren.App) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("got %v, want %v", err, stop)
	}
}
