package main

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	inventoryv1 "github.com/gowarren/warren/shop/api/shop/inventory/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// opened returns the stock of a migrated database.
func opened(t testing.TB, address string) *stocks {
	t.Helper()
	db, err := store.Open(t.Context(), address, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := db.Migrate(t.Context(), migrations); err != nil {
		t.Fatal(err)
	}
	return newStocks(db)
}

// eachDatabase runs a test on every kind of database. At its end the books must
// be right, whatever it did.
func eachDatabase(t *testing.T, test func(t *testing.T, s *stocks)) {
	storetest.Each(t, func(t *testing.T, address string) {
		s := opened(t, address)
		test(t, s)
		s.agree(t)
	})
}

// agree checks that stock, movements and reservations agree.
func (s *stocks) agree(t testing.TB) {
	t.Helper()
	report, err := s.audit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range report.GetDiscrepancies() {
		t.Errorf("%s: %s", d.GetSku(), d.GetProblem())
	}
}

// fill puts so much of a product on the shelf.
func (s *stocks) fill(t testing.TB, sku string, quantity int64) {
	t.Helper()
	if _, err := s.adjust(t.Context(), delivery(sku, quantity), at); err != nil {
		t.Fatal(err)
	}
}

func delivery(sku string, quantity int64) movement {
	return movement{sku: sku, kind: inventoryv1.MovementKind_ADJUSTED, onHand: quantity, reason: "delivery", author: "u1"}
}

// has checks how much there is of a product.
func (s *stocks) has(t testing.TB, sku string, onHand, reserved int64) {
	t.Helper()
	got, err := s.get(t.Context(), sku)
	if err != nil || got.onHand != onHand || got.reserved != reserved {
		t.Errorf("%s: %d on hand and %d reserved, %v; want %d and %d", sku, got.onHand, got.reserved, err, onHand, reserved)
	}
}

// wish is a reservation that holds for an hour.
func wish(id string, lines ...line) reservation {
	return reservation{id: id, lines: lines, expires: at.Add(time.Hour)}
}

func (s *stocks) take(ctx context.Context, r reservation) error {
	_, err := s.reserve(ctx, r, at)
	return err
}

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
