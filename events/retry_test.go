package events_test

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/events"
	"github.com/gowarren/warren/events/eventstest"
	eventstestv1 "github.com/gowarren/warren/events/internal/testpb/eventstest/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
)

// seldom has the relay look by itself after half a minute at the earliest.
func seldom(t *testing.T) *config.Settings {
	t.Helper()
	settings, err := config.New(config.Options{
		File:        config.FileLayer{Entries: []config.FileEntry{{Name: "events.relay.poll", Value: "1m", Position: "test"}}},
		Definitions: events.Definitions(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(settings.Close)
	return settings
}

// TestRelayIsWoken: what is committed goes at once, and so does what is to be tried
// again: looking now and then is only the net below.
func TestRelayIsWoken(t *testing.T) {
	const some = 10
	db := open(t)
	bus := events.New(eventstest.NewHub().Open(), db, events.Options{Service: "s", Settings: seldom(t), Logger: slog.New(slog.DiscardHandler)})
	handled := make(chan int64, some)
	var failed atomic.Bool
	err := events.Subscribe(ledger{bus}, func(_ context.Context, tx *store.Tx, e *eventstestv1.Moved) error {
		if e.GetNumber() == some/2 && !failed.Swap(true) {
			return events.RetryAfter(time.Millisecond)
		}
		tx.AfterCommit(func() { handled <- e.GetNumber() })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, bus)
	for n := range int64(some) {
		began := time.Now()
		publish(t, db, n)
		if got := <-handled; got != n {
			t.Fatalf("event %d came after event %d was published", got, n)
		}
		if took := time.Since(began); took > 25*time.Second {
			t.Errorf("event %d came after %s: nobody was woken", n, took)
		}
	}
}

// TestRowOfAnotherProcess: while another process is at a row that is due, for as
// long as its handler takes, this one looks at it now and then, and not all the time.
func TestRowOfAnotherProcess(t *testing.T) {
	const looks = 45 // at the table, some of them at the row
	address, metrics := storetest.PostgreSQL(t), prometheus.NewRegistry()
	var dbs [2]*store.DB
	for i, opts := range []store.Options{{Metrics: metrics}, {}} {
		db, err := store.Open(t.Context(), address, opts)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		dbs[i] = db
	}
	db, other := dbs[0], dbs[1]
	if err := events.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	_, err := db.Exec(t.Context(), `INSERT INTO warren_retries
		(consumer_group, message_id, topic, event_key, headers, payload, published_at, attempts, due_at, reason)
		VALUES ('s', 'm', 'eventstest.v1.Moved', 'a', '{}', ?, 0, 1, 0, 'a test')`, []byte{})
	if err != nil {
		t.Fatal(err)
	}
	taken, give, given := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		given <- other.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
			var n int
			err := tx.QueryRow(ctx, `SELECT 1 FROM warren_retries WHERE message_id = 'm' FOR UPDATE`).Scan(&n)
			close(taken)
			<-give
			return err
		})
	}()
	<-taken
	bus := events.New(eventstest.NewHub().Open(), db, events.Options{Service: "s", Logger: slog.New(slog.DiscardHandler)})
	handled := make(chan struct{}, 1)
	err = events.Subscribe(ledger{bus}, func(_ context.Context, tx *store.Tx, _ *eventstestv1.Moved) error {
		tx.AfterCommit(func() { handled <- struct{}{} })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	before, began := queries(t, metrics, "warren_retries"), time.Now()
	run(t, bus)
	eventually(t, "it looks at the row", func() bool { return queries(t, metrics, "warren_retries")-before > looks })
	if took := time.Since(began); took < time.Second {
		t.Errorf("%d looks took %s", looks, took)
	}
	close(give)
	if err := <-given; err != nil {
		t.Fatal(err)
	}
	<-handled
}

// queries counts those of a table.
func queries(t *testing.T, metrics prometheus.Gatherer, table string) (n uint64) {
	t.Helper()
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "db_client_operation_duration_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if strings.HasSuffix(l.GetValue(), table) {
					n += m.GetHistogram().GetSampleCount()
				}
			}
		}
	}
	return n
}
