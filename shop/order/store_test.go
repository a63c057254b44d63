package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gowarren/warren/events"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/shards"
	"github.com/gowarren/warren/store/storetest"
)

// eachDatabase runs a test with orders on every kind of database.
func eachDatabase(t *testing.T, test func(t *testing.T, s *orders)) {
	storetest.Each(t, func(t *testing.T, address string) {
		all, err := shards.Open(t.Context(), []string{address}, shards.Options{Migrations: migrations, Tables: tables(), Prepare: events.Migrate})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { all.Close() })
		events.New(nil, all.Databases()[0], events.Options{Service: "order"}) // what is told stays in the database
		test(t, &orders{all: all, told: func(*order) {}})
	})
}

// keep keeps an order of the customer, of that moment.
func (s *orders) keep(t testing.TB, customer string, at time.Time) *order {
	t.Helper()
	o := &order{
		id: s.newID(customer, at), customer: customer, state: orderv1.State_PLACED, version: 1,
		lines: []line{{sku: "85123A", name: "White hanging heart", quantity: 6, price: 255}, {sku: "22423", name: "Cakestand", quantity: 1, price: 1275}},
		total: 2805, currency: "GBP", address: address{"Ada", "1 High Street", "London", "N1", "GB"},
		created: at, updated: at, history: []change{{state: orderv1.State_PLACED, at: at}},
	}
	err := s.inTx(t.Context(), o.id, func(ctx context.Context, tx *store.Tx) error {
		return insert(ctx, tx, s.all.Of(customer), o)
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestAnOrderIsKeptAsItIs(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *orders) {
		o := s.keep(t, "ada", noon)
		got, err := s.get(t.Context(), o.id)
		if err != nil || fmt.Sprintf("%+v", got.message()) != fmt.Sprintf("%+v", o.message()) {
			t.Errorf("kept %+v\ngot  %+v, %v", o, got, err)
		}
		for _, id := range []string{"", "nonsense", s.newID("ada", noon)} {
			if _, err := s.get(t.Context(), id); !errors.Is(err, errNoOrder) {
				t.Errorf("order %q: %v", id, err)
			}
		}
	})
}

func TestOrdersAreListedLatestFirst(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *orders) {
		var want []string
		for i := range 5 {
			o := s.keep(t, "ada", noon.Add(time.Duration(i)*time.Second))
			want = append([]string{o.id}, want...)
			s.keep(t, "bob", noon.Add(time.Duration(i)*time.Second))
		}
		var got []string
		for before := ""; ; {
			page, err := s.list(t.Context(), "ada", before, 2)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, o := range page {
				got, before = append(got, o.id), o.id
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("listed %v, want %v", got, want)
		}
	})
}

// Many move one order on at once: each way is gone once.
func TestOneOfManyMovesAnOrder(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *orders) {
		o := s.keep(t, "ada", noon)
		var wg sync.WaitGroup
		errs := make([]error, 16)
		for i := range errs {
			wg.Go(func() {
				next := orderv1.State_CONFIRMED
				if i%2 == 0 {
					next = orderv1.State_REJECTED
				}
				errs[i] = s.inTx(t.Context(), o.id, func(ctx context.Context, tx *store.Tx) error {
					_, err := s.change(ctx, tx, o.id, func(o *order) error { return o.become(next, "", noon) })
					return err
				})
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			}
		}
		got, err := s.get(t.Context(), o.id)
		if won != 1 || err != nil || got.version != 2 || len(got.history) != 2 {
			t.Errorf("%d moved it, it is %+v, %v: %v", won, got, err, errors.Join(errs...))
		}
	})
}
