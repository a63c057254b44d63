package main

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	inventoryv1 "github.com/gowarren/warren/shop/api/shop/inventory/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
	"github.com/gowarren/warren/warrentest"
)

func TestTheLifeOfStock(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *stocks) {
		ctx := t.Context()
		if _, err := s.get(ctx, "A1"); !warrentest.Refused(err, inventoryv1.Reason_SKU_NOT_FOUND) {
			t.Errorf("nothing yet: %v", err)
		}
		if _, err := s.adjust(ctx, delivery("A1", -1), at); !warrentest.Refused(err, inventoryv1.Reason_SKU_NOT_FOUND) {
			t.Errorf("take from nothing: %v", err)
		}
		s.fill(t, "A1", 10)
		s.fill(t, "B1", 5)
		if err := s.take(ctx, wish("r1", line{"A1", 4}, line{"B1", 5})); err != nil {
			t.Fatal(err)
		}
		s.has(t, "A1", 10, 4)
		if _, err := s.adjust(ctx, delivery("A1", -7), at); !warrentest.Refused(err, inventoryv1.Reason_OUT_OF_STOCK) {
			t.Errorf("take what is promised: %v", err)
		}
		if err := s.take(ctx, wish("r2", line{"A1", 1}, line{"B1", 1})); !warrentest.Refused(err, inventoryv1.Reason_OUT_OF_STOCK) {
			t.Errorf("one of two lines is out of stock: %v", err)
		}
		s.has(t, "A1", 10, 4) // all or nothing
		if err := s.confirm(ctx, "r1", at); err != nil {
			t.Fatal(err)
		}
		s.has(t, "A1", 6, 0)
		s.has(t, "B1", 0, 0)
		if err := s.restock(ctx, "back", []line{{"B1", 2}}, at); err != nil {
			t.Fatal(err)
		}
		s.has(t, "B1", 2, 0)

		list, err := s.movements(ctx, "B1", math.MaxInt64, 10)
		if err != nil || len(list) != 4 || list[0].kind != inventoryv1.MovementKind_RESTOCKED || list[0].version != 4 || list[3].reason != "delivery" {
			t.Errorf("movements: %+v, %v", list, err)
		}
		if list, err = s.movements(ctx, "B1", 3, 1); err != nil || len(list) != 1 || list[0].version != 2 || list[0].reference != "r1" {
			t.Errorf("movements before the third: %+v, %v", list, err)
		}
	})
}

func TestStepsMayComeTwiceAndInAnyOrder(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *stocks) {
		ctx := t.Context()
		s.fill(t, "A1", 10)
		r := wish("r1", line{"A1", 4})
		twice := func(f func() error) error { return errors.Join(f(), f()) }

		if err := twice(func() error { return s.take(ctx, r) }); err != nil {
			t.Error(err)
		}
		if err := s.take(ctx, wish("r1", line{"A1", 5})); !warrentest.Refused(err, inventoryv1.Reason_OTHER_LINES) {
			t.Errorf("other lines: %v", err)
		}
		if err := twice(func() error { return s.confirm(ctx, "r1", at) }); err != nil {
			t.Error(err)
		}
		s.has(t, "A1", 6, 0)
		if err := s.release(ctx, "r1", at); !warrentest.Refused(err, inventoryv1.Reason_RESERVATION_CONFIRMED) {
			t.Errorf("release what is sold: %v", err)
		}
		if err := twice(func() error { return s.restock(ctx, "b1", r.lines, at) }); err != nil {
			t.Error(err)
		}
		if err := s.restock(ctx, "b1", []line{{"A1", 3}}, at); !warrentest.Refused(err, inventoryv1.Reason_OTHER_LINES) {
			t.Errorf("another return of that id: %v", err)
		}
		s.has(t, "A1", 10, 0)

		if err := s.take(ctx, wish("r2", line{"A1", 4})); err != nil {
			t.Error(err)
		}
		if err := twice(func() error { return s.release(ctx, "r2", at) }); err != nil {
			t.Error(err)
		}
		if err := s.take(ctx, wish("r2", line{"A1", 4})); !warrentest.Refused(err, inventoryv1.Reason_RESERVATION_ENDED) {
			t.Errorf("reserve again: %v", err)
		}
		if err := s.confirm(ctx, "r2", at); !warrentest.Refused(err, inventoryv1.Reason_RESERVATION_ENDED) {
			t.Errorf("confirm what was released: %v", err)
		}

		// The release overtakes the reservation: the latter is refused.
		if err := twice(func() error { return s.release(ctx, "r3", at) }); err != nil {
			t.Error(err)
		}
		if err := s.take(ctx, wish("r3", line{"A1", 4})); !warrentest.Refused(err, inventoryv1.Reason_RESERVATION_ENDED) {
			t.Errorf("reserve late: %v", err)
		}
		if err := s.confirm(ctx, "r4", at); !warrentest.Refused(err, inventoryv1.Reason_RESERVATION_NOT_FOUND) {
			t.Errorf("confirm nothing: %v", err)
		}
		s.has(t, "A1", 10, 0)
	})
}

// 200 want the last one at the same moment.
func TestTheLastUnitIsSoldOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *stocks) {
		s.fill(t, "A1", 1)
		errs := atOnce(200, func(n int) error { return s.take(t.Context(), wish(fmt.Sprint("r", n), line{"A1", 1})) })
		var won int
		for _, err := range errs {
			if err == nil {
				won++
			} else if !warrentest.Refused(err, inventoryv1.Reason_OUT_OF_STOCK) {
				t.Error(err)
			}
		}
		if won != 1 {
			t.Errorf("it was sold %d times", won)
		}
		s.has(t, "A1", 1, 1)
	})
}

// Many reservations of the same products, whose lines came in other orders: nobody
// waits in a circle, and what was promised is what is there.
func TestHotProductsAreSoldOut(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *stocks) {
		skus := []string{"A1", "B1", "C1", "D1"}
		for _, sku := range skus {
			s.fill(t, sku, 50)
		}
		errs := atOnce(64, func(n int) error {
			random := rand.New(rand.NewPCG(1, uint64(n)))
			for i := range 4 {
				var lines []*inventoryv1.Line
				for _, at := range random.Perm(len(skus))[:1+random.IntN(len(skus))] {
					lines = append(lines, &inventoryv1.Line{Sku: skus[at], Quantity: 1})
				}
				tidied, err := tidyLines(lines)
				if err != nil {
					return err
				}
				id := fmt.Sprintf("r%d.%d", n, i)
				err = s.take(t.Context(), wish(id, tidied...))
				if warrentest.Refused(err, inventoryv1.Reason_OUT_OF_STOCK) {
					continue
				}
				if err == nil && i%2 == 0 {
					err = s.confirm(t.Context(), id, at)
				} else if err == nil {
					err = s.release(t.Context(), id, at)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
	})
}

// A release and a confirmation, or the end of its time, come at once: one of
// them wins.
func TestAReservationEndsOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *stocks) {
		s.fill(t, "A1", 100)
		for n := range 10 {
			r := wish(fmt.Sprint("r", n), line{"A1", 1})
			if err := s.take(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			errs := atOnce(9, func(i int) error {
				switch i % 3 {
				case 0:
					return s.release(t.Context(), r.id, at)
				case 1:
					return s.confirm(t.Context(), r.id, at)
				default:
					_, err := s.expire(t.Context(), r.expires, 10)
					return err
				}
			})
			for _, err := range errs {
				if err != nil && !warrentest.Refused(err, inventoryv1.Reason_RESERVATION_CONFIRMED) && !warrentest.Refused(err, inventoryv1.Reason_RESERVATION_ENDED) {
					t.Error(err)
				}
			}
		}
	})
}

func TestReservationsExpireUnlessConfirmed(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *stocks) {
		ctx := t.Context()
		s.fill(t, "A1", 10)
		for n, id := range []string{"held", "sold", "back", "late"} {
			r := wish(id, line{"A1", 2})
			r.expires = at.Add(time.Duration(n+1) * time.Hour)
			if err := s.take(ctx, r); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(s.confirm(ctx, "sold", at), s.release(ctx, "back", at)); err != nil {
			t.Fatal(err)
		}
		if got, err := s.expire(ctx, at.Add(30*time.Minute), 10); err != nil || got != 0 {
			t.Errorf("too early %d expired, %v", got, err)
		}
		// Two instances look at the same time.
		errs := atOnce(4, func(int) error { _, err := s.expire(ctx, at.Add(3*time.Hour), 10); return err })
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
		s.has(t, "A1", 8, 2)
		if r, err := s.reservation(ctx, "held"); err != nil || r.state != lapsed || len(r.lines) != 1 {
			t.Errorf("it is %+v, %v", r, err)
		}
		if r, err := s.reservation(ctx, "sold"); err != nil || r.state != confirmed {
			t.Errorf("what was sold is %+v, %v", r, err)
		}

		// Who has paid gets it late, if there is still enough.
		if err := s.confirm(ctx, "held", at); err != nil {
			t.Error(err)
		}
		s.has(t, "A1", 6, 2)
		if _, err := s.expire(ctx, at.Add(5*time.Hour), 10); err != nil {
			t.Error(err)
		}
		if err := s.take(ctx, wish("all", line{"A1", 6})); err != nil {
			t.Error(err)
		}
		if err := s.confirm(ctx, "late", at); !warrentest.Refused(err, inventoryv1.Reason_OUT_OF_STOCK) {
			t.Errorf("there is nothing left: %v", err)
		}
	})
}

func TestAnEndInThePastHoldsNothing(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *stocks) {
		s.fill(t, "A1", 1)
		r := wish("r1", line{"A1", 1})
		r.expires = at
		if err := s.take(t.Context(), r); !warrentest.Refused(err, inventoryv1.Reason_BAD_EXPIRE_TIME) {
			t.Errorf("got %v", err)
		}
		if _, err := s.reservation(t.Context(), "r1"); !warrentest.Refused(err, inventoryv1.Reason_RESERVATION_NOT_FOUND) {
			t.Errorf("it was kept: %v", err)
		}
	})
}

func TestInstancesThatStartTogetherStockOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		instances := []*stocks{opened(t, address), opened(t, address), opened(t, address)}
		instances[0].fill(t, "A1", 3) // staff was faster
		skus := []string{"C1", "A1", "B1", "B1"}
		for n := range 250 {
			skus = append(skus, fmt.Sprintf("X%03d", n))
		}
		errs := atOnce(3, func(n int) error { return instances[n].seed(t.Context(), seedName, skus, at) })
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		instances[1].has(t, "A1", 3, 0)
		instances[1].has(t, "B1", firstStock("B1"), 0)
		instances[1].has(t, "X249", firstStock("X249"), 0)
		if done, err := instances[2].seeded(t.Context(), seedName); err != nil || !done {
			t.Errorf("seeded: %v, %v", done, err)
		}
		instances[0].agree(t)
	})
}

func TestTheDatabaseItselfRefusesToOversell(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *stocks) {
		s.fill(t, "A1", 1)
		if _, err := s.db.Exec(t.Context(), `UPDATE stock SET reserved = 2 WHERE sku = 'A1'`); err == nil {
			t.Error("two of one are promised")
		}
	})
}

func TestAnOutageIsNoEmptyShelf(t *testing.T) {
	s := opened(t, storetest.SQLite(t))
	s.fill(t, "A1", 5)
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"get":       func() error { _, err := s.get(ctx, "A1"); return err },
		"list":      func() error { _, err := s.list(ctx, "", 1); return err },
		"movements": func() error { _, err := s.movements(ctx, "A1", 9, 1); return err },
		"adjust":    func() error { _, err := s.adjust(ctx, delivery("A1", 1), at); return err },
		"reserve":   func() error { return s.take(ctx, wish("r1", line{"A1", 1})) },
		"release":   func() error { return s.release(ctx, "r1", at) },
		"confirm":   func() error { return s.confirm(ctx, "r1", at) },
		"restock":   func() error { return s.restock(ctx, "r1", []line{{"A1", 1}}, at) },
		"expire":    func() error { _, err := s.expire(ctx, at, 1); return err },
		"tell":      func() error { _, err := s.tell(ctx, 1); return err },
		"audit":     func() error { _, err := s.audit(ctx); return err },
		"get one":   func() error { _, err := s.reservation(ctx, "r1"); return err },
		"seeded":    func() error { _, err := s.seeded(ctx, "x"); return err },
		"seed":      func() error { return s.seed(ctx, "x", []string{"A1"}, at) },
	} {
		err := call()
		if err == nil || warrentest.Refused(err, inventoryv1.Reason_SKU_NOT_FOUND) || warrentest.Refused(err, inventoryv1.Reason_RESERVATION_NOT_FOUND) ||
			warrentest.Refused(err, inventoryv1.Reason_OUT_OF_STOCK) || errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What got past the guard is seen: a reservation that holds more than there is.
func TestOversoldIsSeen(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		s := opened(t, address)
		s.fill(t, "MUG", 3)
		if err := s.take(t.Context(), wish("fair", line{"MUG", 2})); err != nil {
			t.Fatal(err)
		}
		meter, err := newMeter(prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		watch := &service{stocks: s, meter: meter, log: slog.New(slog.DiscardHandler)}
		sees := func(want float64) {
			t.Helper()
			if more, err := watch.watchOversold(t.Context()); err != nil || more {
				t.Fatalf("more: %v, %v", more, err)
			}
			if got := testutil.ToFloat64(meter.oversold); got != want {
				t.Errorf("%v products are oversold, want %v", got, want)
			}
		}
		sees(0)
		change := func(quantity int64) {
			t.Helper()
			if _, err := s.db.Exec(t.Context(), `UPDATE reservation_lines SET quantity = ? WHERE reservation_id = ?`, quantity, "fair"); err != nil {
				t.Fatal(err)
			}
		}
		change(3) // all there is may be promised
		sees(0)
		change(4)
		sees(1)
		change(2)
		sees(0)
	})
}
