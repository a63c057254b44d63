package main

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	cartv1 "github.com/gowarren/warren/shop/api/shop/cart/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
	"github.com/gowarren/warren/warrentest"
)

var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// opened returns the carts of a migrated database.
func opened(t testing.TB, address string) *carts {
	t.Helper()
	db, err := store.Open(t.Context(), address, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := db.Migrate(t.Context(), migrations); err != nil {
		t.Fatal(err)
	}
	return newCarts(db)
}

// eachDatabase runs a test on every kind of database.
func eachDatabase(t *testing.T, test func(t *testing.T, s *carts)) {
	storetest.Each(t, func(t *testing.T, address string) { test(t, opened(t, address)) })
}

// has checks what is in a cart.
func (s *carts) has(t testing.TB, who owner, version int64, lines ...line) {
	t.Helper()
	c, err := s.read(t.Context(), who)
	if err != nil || c.version != version || !slices.Equal(c.lines, lines) {
		t.Errorf("version %d has %v, %v; want version %d with %v", c.version, c.lines, err, version, lines)
	}
}

func TestTheLifeOfACart(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *carts) {
		ctx, ada := t.Context(), user("ada")
		s.has(t, ada, 0)
		made, err := s.put(ctx, ada, 0, []line{{"B1", 2}, {"A1", 1}}, at)
		if err != nil || made.version != 1 || !made.updated.Equal(at) {
			t.Fatalf("made %+v, %v", made, err)
		}
		s.has(t, ada, 1, line{"B1", 2}, line{"A1", 1})
		if _, err := s.put(ctx, ada, 0, []line{{"C1", 1}}, at); !warrentest.Refused(err, cartv1.Reason_VERSION_CONFLICT) {
			t.Errorf("an old version: %v", err)
		}
		if _, err := s.put(ctx, ada, 1, []line{{"C1", 1}}, at); err != nil {
			t.Error(err)
		}
		s.has(t, user("bob"), 0)
		if err := s.empty(ctx, ada, 1, at); !warrentest.Refused(err, cartv1.Reason_VERSION_CONFLICT) {
			t.Errorf("empty an old version: %v", err)
		}
		if err := errors.Join(s.empty(ctx, ada, 2, at), s.empty(ctx, ada, 0, at), s.empty(ctx, user("bob"), 0, at)); err != nil {
			t.Error(err)
		}
		s.has(t, ada, 3)
		if _, err := s.put(ctx, ada, 3, nil, at); err != nil {
			t.Error(err)
		}
		s.has(t, ada, 4)
	})
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

func TestOfDevicesAtOnceOneWins(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *carts) {
		for version := range int64(3) { // the first makes the cart
			errs := atOnce(8, func(n int) error {
				_, err := s.put(t.Context(), user("ada"), version, []line{{"A1", int32(n + 1)}}, at)
				return err
			})
			won := 0
			for _, err := range errs {
				if err == nil {
					won++
				} else if !warrentest.Refused(err, cartv1.Reason_VERSION_CONFLICT) {
					t.Error(err)
				}
			}
			if c, err := s.read(t.Context(), user("ada")); won != 1 || err != nil || c.version != version+1 || len(c.lines) != 1 {
				t.Errorf("%d won; %+v, %v", won, c, err)
			}
		}
	})
}

func TestAVisitorsCartIsMergedOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *carts) {
		ctx, ada := t.Context(), user("ada")
		guest, _ := newVisitor()
		if _, err := s.put(ctx, guest, 0, []line{{"A1", 2}, {"B1", 1}}, at); err != nil {
			t.Fatal(err)
		}
		if _, err := s.put(ctx, ada, 0, []line{{"A1", 1}}, at); err != nil {
			t.Fatal(err)
		}
		errs := atOnce(6, func(int) error { _, _, err := s.merge(ctx, guest, ada, at); return err })
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		s.has(t, ada, 2, line{"A1", 3}, line{"B1", 1})
		s.has(t, guest, 0)

		// Somebody who has no cart yet signs in on two devices.
		one, _ := newVisitor()
		other, _ := newVisitor()
		for _, who := range []owner{one, other} {
			if _, err := s.put(ctx, who, 0, []line{{"C1", 1}}, at); err != nil {
				t.Fatal(err)
			}
		}
		errs = atOnce(2, func(n int) error {
			_, _, err := s.merge(ctx, []owner{one, other}[n], user("bob"), at)
			return err
		})
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
		s.has(t, user("bob"), 2, line{"C1", 2})

		empty, _ := newVisitor()
		if _, err := s.put(ctx, empty, 0, nil, at); err != nil {
			t.Fatal(err)
		}
		if c, _, err := s.merge(ctx, empty, ada, at); err != nil || c.version != 2 {
			t.Errorf("an empty cart: %+v, %v", c, err)
		}
		s.has(t, empty, 0)
	})
}

func TestOldCartsOfVisitorsAreRemoved(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *carts) {
		ctx, now := t.Context(), at.Add(time.Hour)
		old, _ := newVisitor()
		fresh, _ := newVisitor()
		for who, when := range map[owner]time.Time{old: at, fresh: now, user("ada"): at} {
			if _, err := s.put(ctx, who, 0, []line{{"A1", 1}}, when); err != nil {
				t.Fatal(err)
			}
		}
		errs := atOnce(3, func(int) error { _, err := s.clean(ctx, now, 10); return err })
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
		s.has(t, old, 0)
		s.has(t, fresh, 1, line{"A1", 1})
		s.has(t, user("ada"), 1, line{"A1", 1})
		var lines int64
		if err := s.db.QueryRow(ctx, `SELECT COUNT(*) FROM cart_lines`).Scan(&lines); err != nil || lines != 2 {
			t.Errorf("%d lines are left, %v", lines, err)
		}
	})
}

func TestAnOutageIsNoEmptyCart(t *testing.T) {
	s := opened(t, storetest.SQLite(t))
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, ada := t.Context(), user("ada")
	for name, call := range map[string]func() error{
		"read":  func() error { _, err := s.read(ctx, ada); return err },
		"put":   func() error { _, err := s.put(ctx, ada, 0, nil, at); return err },
		"empty": func() error { return s.empty(ctx, ada, 0, at) },
		"merge": func() error { _, _, err := s.merge(ctx, visitor("x"), ada, at); return err },
		"clean": func() error { _, err := s.clean(ctx, at, 1); return err },
	} {
		if err := call(); err == nil || warrentest.Refused(err, cartv1.Reason_VERSION_CONFLICT) || warrentest.Refused(err, cartv1.Reason_CART_NOT_FOUND) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
