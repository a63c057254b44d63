package main

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	shippingv1 "github.com/gowarren/warren/shop/api/shop/shipping/v1"
	"github.com/gowarren/warren/warrentest"
)

func TestOrdersAgainstOneAnother(t *testing.T) {
	s := started(t, "  order.watch.per_customer: 3\n")
	t.Run("cancelled in time", s.testCancelled)
	t.Run("cancelled too late", s.testTooLate)
	t.Run("cancelled while it is being arranged", s.testCancelledEarly)
	t.Run("cancelled while it is being rejected", s.testCancelledRejected)
	t.Run("cancelled while it leaves", s.testCancelledLeaving)
	t.Run("news that come early wait", s.testEarlyNews)
	t.Run("watched to its end", s.testWatch)
	t.Run("watched too often", s.testManyWatches)
	t.Run("watched when the service ends", s.testWatchEnds)
}

func (s *shop) cancel(ctx context.Context, t *testing.T, id string) *orderv1.Order {
	t.Helper()
	o, err := s.CancelOrder(ctx, &orderv1.CancelOrderRequest{OrderId: id})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Sixteen cancel at once: the wish is kept once, and the money comes back once.
func (s *shop) testCancelled(t *testing.T) {
	ctx := s.rich(t, "cancels", 10_000)
	stock := s.stock.count(t, "CAKESTAND")
	id := s.place(ctx, t, wanted(some("CAKESTAND", 2))).GetOrderId()
	s.becomes(ctx, t, id, orderv1.State_PAID)
	s.ends(t, "checkout/"+id)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			o, err := s.CancelOrder(ctx, &orderv1.CancelOrderRequest{OrderId: id})
			if err != nil || !o.GetCancelRequested() {
				t.Errorf("cancel: %v, %v", o, err)
			}
		})
	}
	all.Wait()
	o := s.becomes(ctx, t, id, orderv1.State_CANCELLED)
	if way(o) != "PLACED CONFIRMED PAID CANCELLING CANCELLED" || o.GetReason() == "" {
		t.Errorf("it went %s: %q", way(o), o.GetReason())
	}
	s.cancel(ctx, t, id) // again: as it is
	s.has(t, "cancels", 10_000)
	if got := s.stock.count(t, "CAKESTAND"); got != stock || s.carry.state(t, id) != "cancelled" {
		t.Errorf("%d on stock, shipment %s; there were %d", got, s.carry.state(t, id), stock)
	}
	s.tells(t, id, "Placed", "Confirmed", "Cancelled")
}

// The carrier has it: the order goes on as if nobody had asked.
func (s *shop) testTooLate(t *testing.T) {
	ctx := s.rich(t, "late", 10_000)
	id := s.place(ctx, t, wanted(some("HEART", 2))).GetOrderId()
	s.becomes(ctx, t, id, orderv1.State_PAID)
	s.ends(t, "checkout/"+id)
	must(t, s.carry.leave(t.Context(), id, false)) // and its news are late
	s.cancel(ctx, t, id)
	o := warrentest.Eventually(t, "the cancellation to be given up", func() (*orderv1.Order, bool) {
		o, err := s.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: id})
		must(t, err)
		return o, len(o.GetHistory()) == 5
	})
	if way(o) != "PLACED CONFIRMED PAID CANCELLING PAID" || o.GetReason() != "the carrier has it already" || !o.GetCancelRequested() {
		t.Errorf("it went %s: %q", way(o), o.GetReason())
	}
	must(t, s.carry.say(t.Context(), &shippingv1.ShipmentShipped{OrderId: id, ShipmentId: id}))
	s.becomes(ctx, t, id, orderv1.State_SHIPPED)
	s.has(t, "late", 10_000-510)
	s.tells(t, id, "Placed", "Confirmed", "Shipped")

	other := s.place(ctx, t, wanted(some("HEART", 2))).GetOrderId()
	s.becomes(ctx, t, other, orderv1.State_PAID)
	s.ends(t, "checkout/"+other)
	must(t, s.carry.leave(t.Context(), other, true))
	s.becomes(ctx, t, other, orderv1.State_SHIPPED)
	if _, err := s.CancelOrder(ctx, &orderv1.CancelOrderRequest{OrderId: other}); !warrentest.Refused(err, orderv1.Reason_WRONG_STATE) {
		t.Errorf("cancelled what has left: %v", err)
	}
}

// G63: the saga that cancels waits for the one that arranges; no order is both paid
// and cancelled (I3).
func (s *shop) testCancelledEarly(t *testing.T) {
	ctx := s.rich(t, "early", 10_000)
	s.carry.down.Store(true)
	defer s.carry.down.Store(false)
	id := s.place(ctx, t, wanted(some("HEART", 2))).GetOrderId()
	if o := s.cancel(ctx, t, id); o.GetState() != orderv1.State_PLACED || !o.GetCancelRequested() {
		t.Errorf("it is %v", o)
	}
	s.carry.down.Store(false)
	o := s.becomes(ctx, t, id, orderv1.State_CANCELLED)
	if way(o) != "PLACED CONFIRMED PAID CANCELLING CANCELLED" {
		t.Errorf("it went %s", way(o))
	}
	s.has(t, "early", 10_000)
}

// A cancellation that waits for a checkout that fails has nothing left to do.
func (s *shop) testCancelledRejected(t *testing.T) {
	ctx := s.rich(t, "poor", 100)
	id := s.place(ctx, t, wanted(some("HEART", 2))).GetOrderId()
	if _, err := s.CancelOrder(ctx, &orderv1.CancelOrderRequest{OrderId: id}); err != nil && !warrentest.Refused(err, orderv1.Reason_WRONG_STATE) {
		t.Error(err)
	}
	if o := s.becomes(ctx, t, id, orderv1.State_REJECTED); way(o) != "PLACED REJECTED" {
		t.Errorf("it went %s", way(o))
	}
	s.has(t, "poor", 100)
}

// Orders are cancelled in the very moment in which they leave: each is either sent
// and paid, or cancelled and paid back.
func (s *shop) testCancelledLeaving(t *testing.T) {
	const orders = 20
	var left, cancelled int
	for i := range orders {
		customer := fmt.Sprint("leaves-", i)
		ctx := s.rich(t, customer, 1000)
		id := s.place(ctx, t, wanted(some("HEART", 1))).GetOrderId()
		warrentest.Eventually(t, "the shipment to be booked", func() (string, bool) {
			state := s.carry.state(t, id)
			return state, state != ""
		})
		var all sync.WaitGroup
		all.Go(func() { s.cancel(ctx, t, id) })
		if i%2 == 0 {
			s.ends(t, "checkout/"+id)
			all.Go(func() { _ = s.carry.leave(t.Context(), id, true) }) // or it is too late for that
		}
		all.Wait()
		o := warrentest.Eventually(t, "the order to be sent or cancelled", func() (*orderv1.Order, bool) {
			o, err := s.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: id})
			must(t, err)
			return o, o.GetState() == orderv1.State_SHIPPED || o.GetState() == orderv1.State_CANCELLED
		})
		if o.GetState() == orderv1.State_SHIPPED {
			left++
			s.has(t, customer, 745)
		} else {
			cancelled++
			s.has(t, customer, 1000)
		}
	}
	if cancelled < orders/2 || left+cancelled != orders {
		t.Errorf("%d left, %d were cancelled", left, cancelled)
	}
}

// The carrier is faster than the checkout's last step, and its news come in the
// wrong order.
func (s *shop) testEarlyNews(t *testing.T) {
	ctx := s.rich(t, "news", 10_000)
	s.carry.down.Store(true)
	defer s.carry.down.Store(false)
	id := s.place(ctx, t, wanted(some("HEART", 1))).GetOrderId()
	must(t, s.carry.say(t.Context(), &shippingv1.ShipmentDelivered{OrderId: id, ShipmentId: id}))
	must(t, s.carry.say(t.Context(), &shippingv1.ShipmentShipped{OrderId: id, ShipmentId: id}))
	must(t, s.carry.say(t.Context(), &shippingv1.ShipmentShipped{OrderId: "nonsense"})) // stops nobody
	s.carry.down.Store(false)
	o := s.becomes(ctx, t, id, orderv1.State_DELIVERED)
	if way(o) != "PLACED CONFIRMED PAID SHIPPED DELIVERED" {
		t.Errorf("it went %s", way(o))
	}
	must(t, s.carry.say(t.Context(), &shippingv1.ShipmentShipped{OrderId: id, ShipmentId: id})) // said again
	s.tells(t, id, "Placed", "Confirmed", "Shipped", "Delivered")
}

func (s *shop) testWatch(t *testing.T) {
	ctx := s.rich(t, "watches", 100)
	id := s.place(ctx, t, wanted(some("HEART", 1))).GetOrderId()
	stream, err := s.WatchOrder(ctx, &orderv1.WatchOrderRequest{OrderId: id})
	must(t, err)
	var last *orderv1.Order
	for {
		o, err := stream.Recv()
		if err != nil {
			if last.GetState() != orderv1.State_REJECTED || err.Error() != "EOF" {
				t.Errorf("ended with %v at %v", err, last)
			}
			return
		}
		if o.GetVersion() <= last.GetVersion() {
			t.Errorf("after version %d came %d", last.GetVersion(), o.GetVersion())
		}
		last = o
	}
}

func (s *shop) testManyWatches(t *testing.T) {
	ctx := s.rich(t, "many", 10_000)
	id := s.place(ctx, t, wanted(some("HEART", 1))).GetOrderId()
	s.becomes(ctx, t, id, orderv1.State_PAID)
	for i := range 4 {
		stream, err := s.WatchOrder(ctx, &orderv1.WatchOrderRequest{OrderId: id})
		must(t, err)
		o, err := stream.Recv()
		if i < 3 && (err != nil || o.GetOrderId() != id) || i == 3 && !warrentest.Refused(err, orderv1.Reason_TOO_MANY_WATCHES) {
			t.Errorf("watch %d: %v, %v", i, o, err)
		}
	}
}

// Who watches is told to do so elsewhere, and does not hold the service up.
func (s *shop) testWatchEnds(t *testing.T) {
	ctx := s.rich(t, "end", 10_000)
	id := s.place(ctx, t, wanted(some("HEART", 1))).GetOrderId()
	o := s.becomes(ctx, t, id, orderv1.State_PAID)
	stream, err := s.WatchOrder(ctx, &orderv1.WatchOrderRequest{OrderId: id})
	must(t, err)
	if first, err := stream.Recv(); err != nil || first.GetVersion() < o.GetVersion() {
		t.Errorf("watched %v, %v", first, err)
	}
	began := time.Now()
	must(t, s.order.Stop())
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the service took %s to end", took)
	}
	for err == nil {
		_, err = stream.Recv()
	}
	if !warrentest.Refused(err, orderv1.Reason_WATCH_AGAIN) {
		t.Errorf("the watch ended with %v", err)
	}
}
