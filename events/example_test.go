package events_test

import (
	"context"
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

func Example() {
	ctx, stop := context.WithCancel(context.Background())
	dir, err := os.MkdirTemp("", "events")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	db, err := store.Open(ctx, "sqlite:"+filepath.Join(dir, "ledger.db"), store.Options{})
	if err != nil {
		panic(err)
	}
	defer db.Close()
	bus := events.New(eventstest.NewHub().Open(), db, events.Options{Service: "ledger", Logger: slog.New(slog.DiscardHandler)})
	defer bus.Close()

	handled := make(chan string)
	err = events.Subscribe(ledger{bus}, func(ctx context.Context, tx *store.Tx, e *eventstestv1.Moved) error {
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
