package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gowarren/warren/events"
	"github.com/gowarren/warren/events/eventstest"
	"github.com/gowarren/warren/shop/payment/internal/cardsim"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// opened returns the ledger of a migrated database that has a bus for events.
func opened(t testing.TB, address string) *ledger {
	t.Helper()
	db, err := store.Open(t.Context(), address, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := errors.Join(db.Migrate(t.Context(), migrations), cardsim.Migrate(t.Context(), db)); err != nil {
		t.Fatal(err)
	}
	bus := events.New(eventstest.NewHub().Open(), db, events.Options{Service: "payment", Logger: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- bus.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, bus.Close()); err != nil {
			t.Errorf("end the bus: %v", err)
		}
	})
	if err := bus.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return newLedger(db)
}

// eachDatabase runs a test on every kind of database, and verifies the books
// at its end.
func eachDatabase(t *testing.T, test func(t *testing.T, s *ledger)) {
	storetest.Each(t, func(t *testing.T, address string) {
		s := opened(t, address)
		test(t, s)
		if problems := s.problems(t, 3); len(problems) > 0 && !t.Failed() {
			t.Errorf("the books are wrong: %q", problems)
		}
	})
}

// problems verifies all books, page by page.
func (s *ledger) problems(t testing.TB, size int) []string {
	t.Helper()
	var out []string
	for at := (&position{}); at != nil; {
		f, err := s.verify(t.Context(), *at, size)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f.problems...)
		at = f.next
	}
	return out
}

func gbp(units int64) money { return money{units, "GBP"} }

// fill puts money into a customer's wallet.
func (s *ledger) fill(t testing.TB, customer string, amount money) topUp {
	t.Helper()
	top := newTopUp(customer, amount, "token", "4242", at)
	if err := s.begin(t.Context(), top, func() {}); err != nil {
		t.Fatal(err)
	}
	if err := s.settle(t.Context(), top.id, verdict{approved: true}, at); err != nil {
		t.Fatal(err)
	}
	return top
}

// has checks what a customer has.
func (s *ledger) has(t testing.TB, customer string, available, set int64) {
	t.Helper()
	a, h, err := s.wallet(t.Context(), customer, "GBP")
	if err != nil {
		t.Fatal(err)
	}
	if a.units != available || h.units != set {
		t.Errorf("%s has %d and %d held; want %d and %d", customer, a.units, h.units, available, set)
	}
}

// published counts the events of a type that were published.
func (s *ledger) published(t testing.TB, topic string) int64 {
	t.Helper()
	var n int64
	if err := s.db.QueryRow(t.Context(), `SELECT COUNT(*) FROM warren_outbox WHERE topic = ?`, topic).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// because reports whether something was refused for the reason.

// atOnce runs f so many times at the same moment and returns the errors.
func atOnce(n int, f func(int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	all.Wait()
	return errs
}

// won counts those that went right; all others must be what fails says.
func won(t testing.TB, errs []error, fails func(error) bool) int {
	t.Helper()
	n := 0
	for _, err := range errs {
		if err == nil {
			n++
		} else if !fails(err) {
			t.Errorf("neither won nor lost: %v", err)
		}
	}
	return n
}

// eachBroken is eachDatabase for tests that leave the books wrong.
func eachBroken(t *testing.T, test func(t *testing.T, s *ledger)) {
	storetest.Each(t, func(t *testing.T, address string) { test(t, opened(t, address)) })
}
