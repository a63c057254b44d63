package main

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/rpc"
	shippingv1 "github.com/gowarren/warren/shop/api/shop/shipping/v1"
	"github.com/gowarren/warren/warrentest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func never(int) bool  { return false }
func always(int) bool { return true }

// Every state is asked for every change: what is allowed stands here.
func TestTheWaysOfAShipment(t *testing.T) {
	for _, c := range []struct {
		from             shippingv1.State
		dispatched       bool
		cancel, dispatch shippingv1.Reason // 0: fine
		onward           shippingv1.State  // 0: nowhere
	}{
		{created, false, 0, 0, 0},
		{created, true, 0, 0, handedOver},
		{handedOver, true, shippingv1.Reason_ALREADY_HANDED_OVER, 0, inTransit},
		{inTransit, true, shippingv1.Reason_ALREADY_HANDED_OVER, 0, delivered},
		{delivered, true, shippingv1.Reason_ALREADY_HANDED_OVER, 0, 0},
		{cancelled, false, 0, shippingv1.Reason_SHIPMENT_CANCELLED, 0},
		{cancelled, true, 0, shippingv1.Reason_SHIPMENT_CANCELLED, 0},
	} {
		_, more := onward[c.from]
		from := shipment{id: "s1", state: c.from, dispatched: c.dispatched, moving: c.dispatched && more, next: at}
		expect := func(what string, err error, want shippingv1.Reason) {
			if want == 0 && err != nil || want != 0 && !warrentest.Refused(err, want) {
				t.Errorf("%s from %v: %v", what, c.from, err)
			}
		}
		s := from
		changed, err := s.cancel(at)
		expect("cancel", err, c.cancel)
		if changed != (c.from == created) || changed && (s.state != cancelled || s.moving) {
			t.Errorf("cancel from %v: %+v", c.from, s)
		}
		s = from
		changed, err = s.dispatch(at, time.Hour)
		expect("dispatch", err, c.dispatch)
		if changed != (c.from == created && !c.dispatched) || changed && (!s.moving || !s.next.Equal(at.Add(time.Hour))) {
			t.Errorf("dispatch from %v: %+v", c.from, s)
		}
		if s = from; c.from == cancelled {
			s.moving = false
		}
		happened, moved := s.advance(at, time.Hour, never)
		if moved != (c.onward != 0) || moved && (s.state != c.onward || happened.state != c.onward || happened.text == "") {
			t.Errorf("onward from %v: %+v", c.from, s)
		}
		if s = from; s.moving {
			s.next = at.Add(time.Nanosecond)
			if _, moved := s.advance(at, time.Hour, never); moved {
				t.Errorf("onward from %v too early", c.from)
			}
		}
	}
}

func TestEveryShipmentArrivesHoweverUnlucky(t *testing.T) {
	s := shipment{id: "s1", state: created}
	if _, err := s.dispatch(at, time.Second); err != nil {
		t.Fatal(err)
	}
	steps := 0
	for now := at; s.moving; now = now.Add(time.Second) {
		if h, moved := s.advance(now, time.Second, always); moved && h.text == "" {
			t.Errorf("something happened in %v that has no name", s.state)
		}
		if steps++; steps > 100 {
			t.Fatal("it never arrives")
		}
	}
	if s.state != delivered {
		t.Errorf("it ends %v", s.state)
	}
}

func TestOnlyItsOwnerAndStaffSeeAShipment(t *testing.T) {
	s := shipment{customer: "ada"}
	for caller, want := range map[*auth.Caller]bool{
		{Subject: "ada", Roles: []string{"customer"}}: true,
		{Subject: "bob", Roles: []string{"customer"}}: false,
		{Subject: "bob", Roles: []string{"staff"}}:    true,
		{Subject: "bob", Roles: []string{"admin"}}:    true,
		{}: false,
	} {
		if s.visible(*caller) != want {
			t.Errorf("%v: want %v", caller, want)
		}
	}
	if (shipment{}).visible(auth.Caller{}) {
		t.Error("nobody sees what belongs to nobody")
	}
}

func TestTheSameShipmentAgain(t *testing.T) {
	s := shipment{id: "s1", order: "o1", customer: "ada", state: inTransit, lines: []line{{"A1", 1}}}
	if err := s.again(shipment{id: "s1", order: "o1", customer: "ada", state: created, lines: []line{{"A1", 1}}}); err != nil {
		t.Error(err)
	}
	for name, other := range map[string]shipment{
		"order":    {order: "o2", customer: "ada", lines: s.lines},
		"customer": {order: "o1", customer: "bob", lines: s.lines},
		"lines":    {order: "o1", customer: "ada", lines: []line{{"A1", 2}}},
		"address":  {order: "o1", customer: "ada", lines: s.lines, address: address{city: "Oslo"}},
	} {
		if err := s.again(other); !warrentest.Refused(err, shippingv1.Reason_OTHER_SHIPMENT) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	s.state = cancelled
	if err := s.again(s); !warrentest.Refused(err, shippingv1.Reason_SHIPMENT_CANCELLED) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestTheCarrierDecidesTheSameAgain(t *testing.T) {
	for _, share := range []float64{0, 0.1, 0.5, 1} {
		hits := 0
		for n := range 10_000 {
			name := fmt.Sprint("order-", n)
			first := hit(share, "refuse", name)
			if hit(share, "refuse", name) != first {
				t.Fatalf("%s: twice two answers", name)
			}
			if first {
				hits++
			}
		}
		if got := float64(hits) / 10_000; got < share-0.02 || got > share+0.02 {
			t.Errorf("a share of %v became %v", share, got)
		}
	}
	c := carrier{watchSettings(nil)}
	one, err := c.book("s1")
	two, err2 := c.book("s1")
	other, err3 := c.book("s2")
	if err := errors.Join(err, err2, err3); err != nil || one != two || one == other || len(one) > 40 {
		t.Errorf("%q, %q, %q, %v", one, two, other, err)
	}
}

func TestTheCarrierCanBeDownOrRefuse(t *testing.T) {
	set := func(name, value string) carrier {
		return carrier{fixed(t, name, value)}
	}
	if _, err := set("shipping.carrier.down", "true").book("s1"); !warrentest.Refused(err, shippingv1.Reason_CARRIER_DOWN) || rpc.FromError(err).RetryAfter == 0 {
		t.Errorf("down: %v", err)
	}
	if _, err := set("shipping.carrier.refusals", "1").book("s1"); !warrentest.Refused(err, shippingv1.Reason_CARRIER_REFUSED) {
		t.Errorf("refuses: %v", err)
	}
}

// fixed are settings with the values.
func fixed(t testing.TB, values ...string) *settings {
	t.Helper()
	var entries []config.FileEntry
	for i := 0; i+1 < len(values); i += 2 {
		entries = append(entries, config.FileEntry{Name: values[i], Value: values[i+1]})
	}
	from, err := config.New(config.Options{File: config.FileLayer{Entries: entries}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(from.Close)
	s := watchSettings(from)
	if err := from.Err(); err != nil {
		t.Fatal(err)
	}
	return s
}
