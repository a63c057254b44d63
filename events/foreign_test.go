package events_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren/events"
	"github.com/gowarren/warren/events/driver"
	"github.com/gowarren/warren/events/eventstest"
	eventstestv1 "github.com/gowarren/warren/events/internal/testpb/eventstest/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
)

// TestWhatOthersPublish: other programs name their messages as they like. What the
// tables don't take holds up nothing, and is told from others all the same.
func TestWhatOthersPublish(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		db, err := store.Open(t.Context(), address, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		hub := eventstest.NewHub()
		bus := events.New(hub.Open(), db, events.Options{Service: "s", Logger: slog.New(slog.DiscardHandler)})
		arrived := make(chan int64, 100)
		err = events.Subscribe(ledger{bus}, func(_ context.Context, tx *store.Tx, e *eventstestv1.Moved) error {
			if e.GetAccount() == "dead" {
				return events.DeadLetter("not this one")
			}
			tx.AfterCommit(func() { arrived <- e.GetNumber() })
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		run(t, bus)
		payload := func(account string, n int64) []byte {
			raw, err := proto.Marshal(&eventstestv1.Moved{Account: account, Number: n})
			if err != nil {
				t.Fatal(err)
			}
			return raw
		}
		const topic = "eventstest.v1.Moved"
		long := strings.Repeat("x", 300)
		conn := hub.Open()
		errs := conn.Publish(t.Context(), []driver.Message{
			{ID: long + "1", Topic: topic, Key: "a", Published: time.Now(), Payload: payload("a", 1)},
			{ID: long + "2", Topic: topic, Key: "a", Published: time.Now(), Payload: payload("a", 2)},
			{ID: long + "1", Topic: topic, Key: "a", Published: time.Now(), Payload: payload("a", 1)},
			{ID: "3", Topic: topic, Key: long, Published: time.Now(), Payload: payload("dead", 3)},
			{ID: "4", Topic: topic, Key: "\x00\xff", Published: time.Now(), Payload: payload("dead", 4)},
			{Topic: topic, Published: time.Now(), Payload: payload("b", 5)},
			{Topic: topic, Published: time.Now(), Payload: payload("b", 5)},
			{ID: "\x00", Topic: topic, Key: "a", Published: time.Now(), Payload: payload("a", 6)},
		})
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		got := map[int64]int{}
		eventually(t, "all are handled", func() bool {
			select {
			case n := <-arrived:
				got[n]++
			default:
			}
			return got[1]+got[2]+got[5]+got[6] >= 5
		})
		if got[1] != 1 || got[2] != 1 || got[5] != 2 || got[6] != 1 {
			t.Errorf("handled %v", got)
		}
		eventually(t, "two are dead", func() bool {
			return count(t, db, `SELECT COUNT(*) FROM warren_dead_letters WHERE state = 'dead'`) == 2
		})
	})
}

// TestHandlerWithALongName: a name is no reason to be unable to keep a dead letter.
func TestHandlerWithALongName(t *testing.T) {
	db, err := store.Open(t.Context(), storetest.PostgreSQL(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	bus := events.New(eventstest.NewHub().Open(), db, events.Options{Service: "s", Logger: slog.New(slog.DiscardHandler)})
	if err := events.Subscribe(ledger{bus}, aHandlerWhoseNameIsAsLongAsThoseOfFunctionsInPackagesThatLieDeepInTheModulesOfLargeCompaniesWithTheNamesOfTheirTypesAndWhateverElseTheCompilerAddsToThemWhenItMakesOneOfManyOutOfAGenericOne); err != nil {
		t.Fatal(err)
	}
	run(t, bus)
	publish(t, db, 1)
	eventually(t, "it is dead", func() bool { return count(t, db, `SELECT COUNT(*) FROM warren_dead_letters`) == 1 })
	err = events.Subscribe(ledger{bus}, func(context.Context, *store.Tx, *eventstestv1.Moved) error { return nil },
		events.WithGroup(strings.Repeat("g", 101)))
	if err == nil || !strings.Contains(err.Error(), "100 are the most") {
		t.Errorf("a group whose name no table takes: %v", err)
	}
}

func aHandlerWhoseNameIsAsLongAsThoseOfFunctionsInPackagesThatLieDeepInTheModulesOfLargeCompaniesWithTheNamesOfTheirTypesAndWhateverElseTheCompilerAddsToThemWhenItMakesOneOfManyOutOfAGenericOne(
	context.Context, *store.Tx, *eventstestv1.Moved,
) error {
	return events.DeadLetter("not this one")
}
