package main

import (
	"slices"
	"time"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/rpc"
	shippingv1 "github.com/gowarren/warren/shop/api/shop/shipping/v1"
)

// The states of a shipment.
const (
	created    = shippingv1.State_CREATED
	handedOver = shippingv1.State_HANDED_OVER
	inTransit  = shippingv1.State_IN_TRANSIT
	delivered  = shippingv1.State_DELIVERED
	cancelled  = shippingv1.State_CANCELLED
)

// onward is where the carrier brings a shipment from each state. From created it
// goes nowhere before it is dispatched; instead it may be cancelled.
var onward = map[shippingv1.State]shippingv1.State{
	created:    handedOver,
	handedOver: inTransit,
	inTransit:  delivered,
}

// shipment is what is sent to a customer for one order.
type shipment struct {
	id, order, customer string
	state               shippingv1.State
	dispatched          bool
	address             address
	lines               []line
	trackingNumber      string
	attempts            int       // of the carrier, in vain
	moving              bool      // the carrier has something to do
	next                time.Time // when
	trace               string    // the place of whoever had it dispatched
	created, updated    time.Time
}

type address struct{ name, street, city, postalCode, country string }

// line is some of one product.
type line struct {
	sku      string
	quantity int32
}

// happening is something that happened to a shipment.
type happening struct {
	state shippingv1.State
	text  string
	at    time.Time
}

// visible reports whether a caller may see the shipment.
func (s shipment) visible(to auth.Caller) bool {
	return s.customer == to.Subject && !to.Anonymous() || to.HasRole("staff", "admin")
}

// again answers who creates a shipment that is there already.
func (s shipment) again(wanted shipment) error {
	switch {
	case s.state == cancelled:
		return isCancelled(s.id)
	case s.order != wanted.order, s.customer != wanted.customer, s.address != wanted.address, !slices.Equal(s.lines, wanted.lines):
		return rpc.Errorf(shippingv1.Reason_OTHER_SHIPMENT, "there is a shipment %q with other content", s.id)
	}
	return nil
}

// dispatch lets the carrier fetch the shipment. It reports false if it may
// already.
func (s *shipment) dispatch(now time.Time, pace time.Duration) (bool, error) {
	if s.state == cancelled {
		return false, isCancelled(s.id)
	}
	if s.dispatched {
		return false, nil
	}
	s.dispatched, s.moving, s.next, s.updated = true, true, now.Add(pace), now
	return true, nil
}

// cancel ends a shipment. It reports false if it has ended so already.
func (s *shipment) cancel(now time.Time) (bool, error) {
	switch s.state {
	case cancelled:
		return false, nil
	case created:
		s.state, s.moving, s.updated = cancelled, false, now
		return true, nil
	default:
		return false, rpc.Errorf(shippingv1.Reason_ALREADY_HANDED_OVER, "the carrier has shipment %q already", s.id)
	}
}

// maxAttempts is how often the carrier tries a step at most in vain, so that
// every shipment arrives.
const maxAttempts = 3

// advance is one step of the carrier, or one in vain; it reports false if there
// is none to take now.
func (s *shipment) advance(now time.Time, pace time.Duration, fails func(attempt int) bool) (happening, bool) {
	if !s.moving || s.next.After(now) {
		return happening{}, false
	}
	s.next, s.updated = now.Add(pace), now
	if s.attempts < maxAttempts && fails(s.attempts) {
		s.attempts++
		return happening{s.state, failures[s.state], now}, true
	}
	s.state, s.attempts = onward[s.state], 0
	_, s.moving = onward[s.state]
	return happening{s.state, texts[s.state], now}, true
}

var (
	texts = map[shippingv1.State]string{
		created:    "The shipment is announced to the carrier",
		handedOver: "The carrier has the shipment",
		inTransit:  "The shipment is on its way",
		delivered:  "The shipment is delivered",
		cancelled:  "The shipment is cancelled",
	}
	failures = map[shippingv1.State]string{
		created:    "The carrier could not fetch the shipment and tries again",
		handedOver: "The shipment was left behind and waits for the next van",
		inTransit:  "Nobody was there to take the shipment; the carrier tries again",
	}
)

func isCancelled(id string) error {
	return rpc.Errorf(shippingv1.Reason_SHIPMENT_CANCELLED, "shipment %q is cancelled", id)
}

func notFound() error {
	return rpc.Errorf(shippingv1.Reason_SHIPMENT_NOT_FOUND, "there is no such shipment")
}
