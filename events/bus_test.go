package events_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/events"
	"github.com/gowarren/warren/events/eventstest"
	eventstestv1 "github.com/gowarren/warren/events/internal/testpb/eventstest/v1"
	"github.com/gowarren/warren/store"
)

func open(t *testing.T) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "test.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// run runs a bus until the test ends, and returns how to end it before.
func run(t *testing.T, bus *events.Bus) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- bus.Run(ctx) }()
	if err := bus.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func publish(t *testing.T, db *store.DB, n int64) {
	t.Helper()
	publishOf(t, db, "a", n)
}

func publishOf(t *testing.T, db *store.DB, account string, n int64) {
	t.Helper()
	err := db.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return events.Publish(ctx, tx, &eventstestv1.Moved{Account: account, Number: n})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, db *store.DB, query string) (n int) {
	t.Helper()
	if err := db.QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(40 * time.Second)
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// TestPublishNeedsABus: a row that nobody would relay is refused.
func TestPublishNeedsABus(t *testing.T) {
	err := open(t).InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return events.Publish(ctx, tx, &eventstestv1.Moved{})
	})
	if err == nil {
		t.Error("an event was published to nobody")
	}
}

// TestRetention: what is kept is purged in time, rows that wait are not, and a
// retention that would break a promise is raised.
func TestRetention(t *testing.T) {
	hub, db, metrics := eventstest.NewHub(), open(t), prometheus.NewRegistry()
	layer := config.FileLayer{}
	for name, value := range map[string]string{"events.outbox.keep": "1s", "events.inbox.keep": "1m"} {
		layer.Entries = append(layer.Entries, config.FileEntry{Name: name, Value: value, Position: "test"})
	}
	settings, err := config.New(config.Options{File: layer, Definitions: events.Definitions()})
	if err != nil {
		t.Fatal(err)
	}
	defer settings.Close()
	quiet := slog.New(slog.DiscardHandler)
	bus := events.New(hub.Open(), db, events.Options{Service: "s", Settings: settings, Logger: quiet, Metrics: metrics})
	stop := run(t, bus)
	publish(t, db, 1)
	eventually(t, "it is sent", func() bool { return count(t, db, `SELECT COUNT(*) FROM warren_outbox WHERE state = 1`) == 1 })
	stop()
	// An hour and five seconds ago is beyond the broker's replay; ten minutes is
	// beyond what is set for the inbox, and not beyond the replay.
	for _, age := range []time.Duration{time.Hour + 5*time.Second, 10 * time.Minute} {
		at := time.Now().Add(-age)
		for i, statement := range []string{
			`INSERT INTO warren_outbox (id, topic, event_key, headers, payload, created_at, state, sent_at) VALUES (?, 't', '', '{}', '', 0, 1, ?)`,
			`INSERT INTO warren_inbox (consumer_group, message_id, received_at) VALUES ('s', ?, ?)`,
		} {
			if _, err := db.Exec(t.Context(), statement, fmt.Sprint(age, i), at); err != nil {
				t.Fatal(err)
			}
		}
	}
	again := events.New(hub.Open(), db, events.Options{Service: "s", Settings: settings, Logger: quiet, Metrics: metrics})
	run(t, again)
	eventually(t, "what is old is gone", func() bool {
		return count(t, db, `SELECT COUNT(*) FROM warren_outbox`) == 1 && count(t, db, `SELECT COUNT(*) FROM warren_inbox`) == 1
	})
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "warren_events_retention_raised" && f.GetMetric()[0].GetGauge().GetValue() != 1 {
			t.Error("the metric does not tell that the retention was raised")
		}
	}
}

// TestGrace: a handler that runs when the bus ends is finished; one that takes too
// long is cut off, rolled back and handled by the next process.
func TestGrace(t *testing.T) {
	hub, db := eventstest.NewHub(), open(t)
	quiet := slog.New(slog.DiscardHandler)
	bus := events.New(hub.Open(), db, events.Options{Service: "s", Logger: quiet, Grace: 50 * time.Millisecond})
	began := make(chan struct{}, 1)
	err := events.Subscribe(ledger{bus}, func(ctx context.Context, _ *store.Tx, e *eventstestv1.Moved) error {
		began <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, bus)
	publish(t, db, 1)
	<-began
	stop()
	if n := count(t, db, `SELECT (SELECT COUNT(*) FROM warren_inbox) + (SELECT COUNT(*) FROM warren_retries)`); n != 0 {
		t.Errorf("%d traces of a handler that was cut off", n)
	}
	next := events.New(hub.Open(), db, events.Options{Service: "s", Logger: quiet})
	got := make(chan int64, 1)
	err = events.Subscribe(ledger{next}, func(_ context.Context, _ *store.Tx, e *eventstestv1.Moved) error {
		got <- e.GetNumber()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, next)
	if n := <-got; n != 1 {
		t.Errorf("the next process got %d", n)
	}
}
