package e2e

import (
	"testing"
	"time"

	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
)

// TestOrderIsDelivered follows one order from the customer's wish to the door.
func TestOrderIsDelivered(t *testing.T) {
	s := open(t)
	c := s.customers(1, func(int) int64 { return 100_000 })[0]
	ctx := s.within(time.Minute)
	before := s.stockOf("22423").GetOnHand()
	o, err := c.place(ctx, "one", orderBody(map[string]int{"22423": 2}))
	if err != nil {
		t.Fatal(err)
	}
	if o, err = c.ended(ctx, o.GetOrderId()); err != nil {
		t.Fatal(err)
	}
	if got, want := states(o), "PLACED CONFIRMED PAID SHIPPED DELIVERED"; got != want {
		t.Errorf("the order's way: %s, want %s", got, want)
	}
	if got := s.stockOf("22423").GetOnHand(); got != before-2 {
		t.Errorf("stock is %d, want %d", got, before-2)
	}
	if o.GetState() != orderv1.State_DELIVERED || o.GetTotal().GetMinorUnits() != 2550 {
		t.Errorf("the order: %v", o)
	}
}
