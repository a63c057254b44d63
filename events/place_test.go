package events_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gowarren/warren/events"
	"github.com/gowarren/warren/events/eventstest"
	eventstestv1 "github.com/gowarren/warren/events/internal/testpb/eventstest/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
)

// TestDatabases: a bus over two databases publishes from both, handles each event
// once and in the one that is chosen, tries it again there, and takes an event
// whose database was found later to where it belongs.
func TestDatabases(t *testing.T) {
	even, odd, foreign := open(t), open(t), open(t)
	for _, db := range []*store.DB{even, odd} {
		if _, err := db.Exec(t.Context(), `CREATE TABLE handled (number INTEGER)`); err != nil {
			t.Fatal(err)
		}
	}
	bus := events.New(eventstest.NewHub().Open(), even, events.Options{Service: "s", Logger: slog.New(slog.DiscardHandler)})
	bus.AddDatabase(odd)
	bus.AddDatabase(odd) // again is no harm
	const lost, tried, total = 7, 5, 20
	var found, failed atomic.Bool
	choose := func(_ context.Context, e *eventstestv1.Moved) (*store.DB, error) {
		switch {
		case e.GetNumber() == lost && !found.Load():
			return nil, errors.New("no shard has it")
		case e.GetNumber() == 2*total:
			return foreign, nil
		case e.GetNumber()%2 == 0:
			return even, nil
		}
		return odd, nil
	}
	err := events.Subscribe(ledger{bus}, func(ctx context.Context, tx *store.Tx, e *eventstestv1.Moved) error {
		if _, err := tx.Exec(ctx, `INSERT INTO handled (number) VALUES (?)`, e.GetNumber()); err != nil {
			return err
		}
		if e.GetNumber() == tried && !failed.Swap(true) {
			return errors.New("once more")
		}
		return nil
	}, events.WithDatabase(choose))
	if err != nil {
		t.Fatal(err)
	}
	run(t, bus)
	for n := range total {
		publish(t, []*store.DB{even, odd}[n/2%2], int64(n))
	}
	publish(t, odd, 2*total)
	const handled = `SELECT COUNT(*) FROM handled`
	eventually(t, "all are handled where they belong", func() bool {
		return count(t, even, handled) == total/2 && count(t, odd, handled) == total/2-1
	})
	if n := count(t, even, `SELECT COUNT(*) FROM handled WHERE number % 2 = 1`) + count(t, odd, `SELECT COUNT(*) FROM handled WHERE number % 2 = 0`); n != 0 {
		t.Errorf("%d were handled in the wrong database", n)
	}
	var letters []events.Letter
	eventually(t, "what has no database is a dead letter", func() bool {
		letters, err = bus.Letters().List(t.Context(), events.Filter{})
		return err == nil && len(letters) == 2
	})
	found.Store(true)
	if n, err := bus.Letters().Replay(t.Context(), events.Filter{Reason: "no shard"}, "ada", ""); n != 1 || err != nil {
		t.Fatalf("replay: %d, %v", n, err)
	}
	eventually(t, "it is handled where it belongs", func() bool {
		return count(t, odd, handled) == total/2 && count(t, even, `SELECT COUNT(*) FROM warren_retries`) == 0
	})
	if got := count(t, even, handled) + count(t, odd, handled); got != total {
		t.Errorf("%d were handled, want %d", got, total)
	}
}

// TestMovesCross: what waits in either of two databases belongs in the other one
// now; none is stuck, though each handing over is at work in both.
func TestMovesCross(t *testing.T) {
	const each = 60
	dbs := []*store.DB{open(t), open(t)}
	bus := events.New(eventstest.NewHub().Open(), dbs[0], events.Options{Service: "s", Logger: slog.New(slog.DiscardHandler)})
	for _, db := range dbs {
		bus.AddDatabase(db)
		if _, err := db.Exec(t.Context(), `CREATE TABLE handled (number INTEGER)`); err != nil {
			t.Fatal(err)
		}
	}
	var crossed atomic.Int64
	choose := func(_ context.Context, e *eventstestv1.Moved) (*store.DB, error) {
		return dbs[(e.GetNumber()+crossed.Load())%2], nil
	}
	err := events.Subscribe(ledger{bus}, func(ctx context.Context, tx *store.Tx, e *eventstestv1.Moved) error {
		if crossed.Load() == 0 {
			return events.RetryAfter(10 * time.Millisecond)
		}
		return insert(ctx, tx, "handled", e.GetNumber())
	}, events.WithDatabase(choose))
	if err != nil {
		t.Fatal(err)
	}
	run(t, bus)
	for n := range int64(2 * each) {
		publishOf(t, dbs[n%2], fmt.Sprint("account ", n), n)
	}
	const waiting = `SELECT COUNT(*) FROM warren_retries`
	eventually(t, "all wait", func() bool { return count(t, dbs[0], waiting) == each && count(t, dbs[1], waiting) == each })
	crossed.Store(1)
	const handled = `SELECT COUNT(DISTINCT number) FROM handled`
	eventually(t, "all are handled", func() bool { return count(t, dbs[0], handled)+count(t, dbs[1], handled) == 2*each })
}

// away is a database behind a line that can be cut.
func away(t *testing.T) (*storetest.Line, string) {
	t.Helper()
	server, err := url.Parse(storetest.PostgreSQL(t))
	if err != nil {
		t.Fatal(err)
	}
	line := storetest.NewLine(t, server.Host)
	line.Connect()
	server.Host = line.Address()
	return line, server.String()
}

// TestFormerDatabaseIsAway: an event was handled in a database that nobody reaches
// now, and comes again when its key belongs to another one. It waits, and so does
// what comes after it, until that can be asked.
func TestFormerDatabaseIsAway(t *testing.T) {
	line, address := away(t)
	former, err := store.Open(t.Context(), address, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = former.Close() })
	now := open(t)
	for _, db := range []*store.DB{former, now} {
		if _, err := db.Exec(t.Context(), `CREATE TABLE handled (number BIGINT)`); err != nil {
			t.Fatal(err)
		}
	}
	sent, metrics := &recorder{Driver: eventstest.NewHub().Open()}, prometheus.NewRegistry()
	bus := events.New(sent, now, events.Options{Service: "s", Logger: slog.New(slog.DiscardHandler), Metrics: metrics})
	bus.AddDatabase(former)
	var at atomic.Pointer[store.DB]
	at.Store(former)
	err = events.Subscribe(ledger{bus}, func(ctx context.Context, tx *store.Tx, e *eventstestv1.Moved) error {
		return insert(ctx, tx, "handled", e.GetNumber())
	}, events.WithDatabase(func(context.Context, *eventstestv1.Moved) (*store.DB, error) { return at.Load(), nil }))
	if err != nil {
		t.Fatal(err)
	}
	run(t, bus)
	const handled = `SELECT COUNT(*) FROM handled`
	publish(t, now, 1)
	eventually(t, "the first is handled", func() bool { return count(t, former, handled) == 1 })

	at.Store(now)
	line.Cut()
	sent.again(t)
	publish(t, now, 2)
	eventually(t, "events wait", func() bool {
		return counted(t, metrics, "warren_events_outages_total", "database of eventstest.v1.Moved") > 0
	})
	if n := count(t, now, handled); n != 0 {
		t.Errorf("%d were handled while nobody knew whether they had been", n)
	}
	line.Connect()
	eventually(t, "the second is handled", func() bool { return count(t, now, handled) > 0 })
	eventually(t, "the first is known", func() bool { return counted(t, metrics, "warren_events_duplicates_total", "") == 1 })
	if first, n := count(t, former, handled), count(t, now, `SELECT SUM(number) FROM handled`); first != 1 || n != 2 {
		t.Errorf("%d were handled where the key was, and %d is the sum of those where it is", first, n)
	}
}

// TestOtherShardIsAway: what has its key in a shard that never moved waits for no
// database but its own.
func TestOtherShardIsAway(t *testing.T) {
	line, address := away(t)
	s := newSharded(t, []string{storetest.SQLite(t), address})
	if err := events.Subscribe(s, s.write, events.WithDatabase(s.where)); err != nil {
		t.Fatal(err)
	}
	run(t, s.bus)
	var account string // in the first database
	for n := 0; account == ""; n++ {
		if name := fmt.Sprint("account ", n); s.all.Of(name)%2 == 0 {
			account = name
		}
	}
	line.Cut()
	s.publish(t, account, 0, 5)
	eventually(t, "all are handled", func() bool { return len(s.effects(t, account)) == 5 })
	line.Connect()
}

// TestDrain: what runs is finished, nothing else is begun, and publishing goes on.
func TestDrain(t *testing.T) {
	db := open(t)
	hub := eventstest.NewHub()
	bus := events.New(hub.Open(), db, events.Options{Service: "s", Logger: slog.New(slog.DiscardHandler)})
	began, finish := make(chan int64, 10), make(chan struct{})
	err := events.Subscribe(ledger{bus}, func(_ context.Context, _ *store.Tx, e *eventstestv1.Moved) error {
		began <- e.GetNumber()
		<-finish
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, bus)
	publish(t, db, 1)
	<-began
	drained := make(chan error, 1)
	go func() { drained <- bus.Drain(t.Context()) }()
	short, cancel := context.WithCancel(t.Context())
	cancel()
	if err := bus.Drain(short); !errors.Is(err, context.Canceled) {
		t.Errorf("drain while a handler runs: got %v", err)
	}
	close(finish)
	if err := <-drained; err != nil {
		t.Error(err)
	}
	publish(t, db, 2)
	eventually(t, "what is published meanwhile is sent", func() bool {
		return count(t, db, `SELECT COUNT(*) FROM warren_outbox WHERE state = 1`) == 2
	})
	if len(began) != 0 {
		t.Error("an event was begun after the drain")
	}
}
