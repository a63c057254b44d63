package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	notificationv1 "github.com/gowarren/warren/shop/api/shop/notification/v1"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	paymentv1 "github.com/gowarren/warren/shop/api/shop/payment/v1"
)

// TestLastUnitIsSoldOnce has 200 customers want the last one of something.
func TestLastUnitIsSoldOnce(t *testing.T) {
	s := open(t)
	customers := s.customers(200, func(int) int64 { return 10_000 })
	s.stock("22086", 1)
	before := s.allStock()
	ctx := s.within(5 * time.Minute)
	var all sync.WaitGroup
	var mu sync.Mutex
	outcomes := map[string]int{}
	for _, c := range customers {
		all.Go(func() {
			o, err := c.place(ctx, "last", orderBody(map[string]int{"22086": 1}))
			if err == nil {
				o, err = c.ended(ctx, o.GetOrderId())
			}
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			outcomes[o.GetState().String()]++
			if o.GetState() == orderv1.State_REJECTED && o.GetReason() == "" {
				t.Errorf("order %s is rejected, and nobody says why", o.GetOrderId())
			}
		})
	}
	all.Wait()
	if outcomes["DELIVERED"] != 1 || outcomes["REJECTED"] != len(customers)-1 {
		t.Errorf("the last one: %v, want one delivered", outcomes)
	}
	s.quiet(time.Minute)
	s.facts(customers).hold(customers, before)
}

// TestShippingFails has the carrier refuse: money and stock are back, and the
// customer is told why.
func TestShippingFails(t *testing.T) {
	s := open(t)
	customers := s.customers(1, func(int) int64 { return 10_000 })
	c, before := customers[0], s.allStock()
	s.set("shipping.carrier.refusals=1")
	ctx := s.within(time.Minute)
	o, err := c.place(ctx, "one", orderBody(map[string]int{"22423": 1}))
	if err == nil {
		o, err = c.ended(ctx, o.GetOrderId())
	}
	if err != nil {
		t.Fatal(err)
	}
	if states(o) != "PLACED REJECTED" || !strings.Contains(o.GetReason(), "carrier") {
		t.Errorf("the order went %s, because %q", states(o), o.GetReason())
	}
	wallet := &paymentv1.Wallet{}
	if err := c.read(ctx, "/v1/wallet", wallet); err != nil {
		t.Fatal(err)
	}
	if wallet.GetAvailable().GetMinorUnits() != 10_000 || wallet.GetHeld().GetMinorUnits() != 0 {
		t.Errorf("the money is not back: %v", wallet)
	}
	s.quiet(time.Minute)
	s.facts(customers).hold(customers, before)
	told := &notificationv1.ListNotificationsResponse{}
	if err := c.read(ctx, "/v1/notifications", told); err != nil {
		t.Fatal(err)
	}
	if n := told.GetNotifications()[0]; n.GetKind() != notificationv1.Kind_ORDER_REJECTED || !strings.Contains(n.GetText(), "carrier") {
		t.Errorf("the customer was told: %v", n)
	}
}

// TestConsumersAreAway takes orders while nobody handles the events about them;
// afterwards everything is told once.
func TestConsumersAreAway(t *testing.T) {
	s := open(t)
	customers, before := s.customers(4, func(int) int64 { return 100_000 }), s.allStock()
	s.must("scale", "notification=0")
	ctx := s.within(2 * time.Minute)
	each(customers, func(c *shopper) {
		for i := range 5 {
			o, err := c.place(ctx, fmt.Sprint("key-", i), orderBody(map[string]int{"22423": 1}))
			if err == nil {
				o, err = c.ended(ctx, o.GetOrderId())
			}
			if err != nil || o.GetState() != orderv1.State_DELIVERED {
				t.Errorf("order %d of %s: %s %v", i, c.email, o.GetState(), err)
			}
		}
	})
	s.must("scale", "notification=1")
	s.must("wait")
	f := s.facts(customers)
	until(t, time.Minute, "everything to be told", func() bool {
		return len(f.rows("notification", 1, `SELECT id FROM notifications WHERE kind = 'ORDER_DELIVERED'`)) == 20
	})
	s.quiet(time.Minute)
	f.hold(customers, before)
}

// TestKeyAfterKill kills the order service in the middle of a call: the same key
// has one answer afterwards, and there is one order.
func TestKeyAfterKill(t *testing.T) {
	s := open(t)
	c := s.customers(1, func(int) int64 { return 100_000 })[0]
	ctx := s.within(3 * time.Minute)
	body := orderBody(map[string]int{"22423": 1})
	const keys = 8
	cut := 0
	for i := range keys {
		key := fmt.Sprint("key-", i)
		var call sync.WaitGroup
		call.Go(func() {
			if a, err := c.send(ctx, "POST", "/v1/orders", key, body); err != nil || !a.definite() {
				cut++
			}
		})
		s.pause(time.Duration(rand.Int64N(int64(25 * time.Millisecond))))
		if _, err := s.ctl("kill", "order/1"); err != nil {
			t.Log(err)
		}
		call.Wait()
		first, err := c.ask(ctx, "POST", "/v1/orders", key, body)
		if err != nil {
			t.Fatal(err)
		}
		again, err := c.ask(ctx, "POST", "/v1/orders", key, body)
		if err != nil {
			t.Fatal(err)
		}
		if first.status != 200 || first.json(t)["orderId"] != again.json(t)["orderId"] || len(first.body) != len(again.body) {
			t.Errorf("key %s: %d %s, and then %d %s", key, first.status, first.body, again.status, again.body)
		}
		s.must("wait")
	}
	all, err := c.orders(ctx)
	if err != nil || len(all) != keys {
		t.Errorf("%d orders of %d keys: %v", len(all), keys, err)
	}
	t.Logf("%d of %d calls were cut", cut, keys)
}
