package events_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/gowarren/warren/events"
	"github.com/gowarren/warren/events/eventstest"
	eventstestv1 "github.com/gowarren/warren/events/internal/testpb/eventstest/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
)

// BenchmarkPublish is what an event costs its publisher: one row more in its
// transaction, which SQLite writes with full synchronisation.
func BenchmarkPublish(b *testing.B) {
	for database, address := range map[string]func(testing.TB) string{"sqlite": storetest.SQLite, "postgres": storetest.PostgreSQL} {
		for name, each := range map[string]int{"without": 0, "with": 1} {
			b.Run(database+"/"+name, func(b *testing.B) { publishes(b, address(b), each) })
		}
	}
}

func publishes(b *testing.B, address string, each int) {
	db, err := store.Open(context.Background(), address, store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if err := events.Migrate(b.Context(), db); err != nil {
		b.Fatal(err)
	}
	if _, err := db.Exec(b.Context(), `CREATE TABLE orders (number INTEGER NOT NULL)`); err != nil {
		b.Fatal(err)
	}
	events.New(eventstest.NewHub().Open(), db, events.Options{Service: "s", Logger: slog.New(slog.DiscardHandler)})
	for n := int64(0); b.Loop(); n++ {
		err := db.InTx(b.Context(), func(ctx context.Context, tx *store.Tx) error {
			for range each {
				if err := events.Publish(ctx, tx, &eventstestv1.Moved{Account: "ada", Number: n}); err != nil {
					return err
				}
			}
			return insert(ctx, tx, "orders", n)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
