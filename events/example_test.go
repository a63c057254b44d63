package events_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/gowarren/warren/events"
	"github.com/gowarren/warren/events/eventstest"
	eventstestv1 "github.com/gowarren/warren/events/internal/testpb/eventstest/v1"
	"github.com/gowarren/warren/store"
)

// ledger stands for *warren.App, which has a bus, too.
type ledger struct{ bus *events.Bus }

func (l ledger) Events() *events.Bus { return l.bus }

// onMoved is a handler: what it does through tx takes place once per event.
func onMoved(ctx context.Context, tx *store.Tx, e *eventstestv1.Moved) error {
	if e.GetNumber() == 0 {
		return events.Skip // it means nothing here
	}
	n, err := tx.Exec(ctx, `UPDATE accounts SET balance = balance + ? WHERE name = ?`, e.GetNumber(), e.GetAccount())
	if err != nil {
		return err // nothing is done; it is tried again, after pauses that grow
	}
	if n == 0 {
		return events.DeadLetter("there is no account " + e.GetAccount()) // for a person to look at
	}
	return events.Publish(ctx, tx, &eventstestv1.Seen{Number: e.GetNumber()}) // if, and only if, this is committed
}

// A handler changes its own tables and publishes what follows, in one transaction.
func ExampleSubscribe() {
	ctx, stop := context.WithCancel(context.Background())
	db, closeAll := exampleDatabase(ctx)
	defer closeAll()
	bus := events.New(eventstest.NewHub().Open(), db, events.Options{Service: "ledger", Logger: slog.New(slog.DiscardHandler)})
	defer bus.Close()
	app := ledger{bus} // in a service: *warren.App

	seen := make(chan int64)
	err := errors.Join(
		events.Subscribe(app, onMoved),
		events.Subscribe(app, func(_ context.Context, tx *store.Tx, e *eventstestv1.Seen) error {
			tx.AfterCommit(func() { seen <- e.GetNumber() })
			return nil
		}),
	)
	if err != nil {
		panic(err)
	}
	ended := make(chan error)
	go func() { ended <- bus.Run(ctx) }()
	if err := bus.Ready(ctx); err != nil {
		panic(err)
	}
	err = db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return events.Publish(ctx, tx, &eventstestv1.Moved{Account: "ada", Number: 7})
	})
	if err != nil {
		panic(err)
	}
	fmt.Println("seen:", <-seen)
	var balance int64
	if err := db.QueryRow(ctx, `SELECT balance FROM accounts WHERE name = 'ada'`).Scan(&balance); err != nil {
		panic(err)
	}
	fmt.Println("ada has", balance)
	stop()
	fmt.Println(<-ended)
	// Output:
	// seen: 7
	// ada has 107
	// <nil>
}

// exampleDatabase has the account of ada, who has 100.
func exampleDatabase(ctx context.Context) (db *store.DB, closeAll func()) {
	dir, err := os.MkdirTemp("", "events")
	if err != nil {
		panic(err)
	}
	db, err = store.Open(ctx, "sqlite:"+filepath.Join(dir, "ledger.db"), store.Options{})
	if err != nil {
		panic(err)
	}
	for _, statement := range []string{`CREATE TABLE accounts (name TEXT, balance BIGINT)`, `INSERT INTO accounts VALUES ('ada', 100)`} {
		if _, err := db.Exec(ctx, statement); err != nil {
			panic(err)
		}
	}
	return db, func() { _, _ = db.Close(), os.RemoveAll(dir) }
}

func Example() {
	ctx, stop := context.WithCancel(context.Background())
	db, closeAll := exampleDatabase(ctx)
	defer closeAll()
	bus := events.New(eventstest.NewHub().Open(), db, events.Options{Service: "ledger", Logger: slog.New(slog.DiscardHandler)})
	defer bus.Close()

	handled := make(chan string)
	err := events.Subscribe(ledger{bus}, func(ctx context.Context, tx *store.Tx, e *eventstestv1.Moved) error {
		// What is written through tx takes place once per event.
		tx.AfterCommit(func() { handled <- fmt.Sprintf("%s moved %d", e.GetAccount(), e.GetNumber()) })
		return nil
	})
	if err != nil {
		panic(err)
	}
	ended := make(chan error)
	go func() { ended <- bus.Run(ctx) }()
	if err := bus.Ready(ctx); err != nil {
		panic(err)
	}

	err = db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		// Published if and only if this transaction is committed.
		return events.Publish(ctx, tx, &eventstestv1.Moved{Account: "ada", Number: 7})
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(<-handled)
	stop()
	fmt.Println(<-ended)
	// Output:
	// ada moved 7
	// <nil>
}
