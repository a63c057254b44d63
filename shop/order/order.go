package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gowarren/warren/rpc"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
)

// order is what a customer ordered, with the rules for how it may go on. It
// changes by its methods only.
type order struct {
	id       string
	customer string
	state    orderv1.State
	lines    []line
	total    int64 // minor units
	currency string
	address  address
	reason   string
	// stopWanted: the customer asked for it to be cancelled.
	stopWanted       bool
	version          int64
	created, updated time.Time
	history          []change
}

// line is some of one product, at the price at which it was ordered.
type line struct {
	sku      string
	name     string
	quantity int64
	price    int64 // of one, in minor units
}

type address struct{ name, street, city, postalCode, country string }

// change is one step of an order's way.
type change struct {
	state  orderv1.State
	reason string
	at     time.Time
}

// ways are all that an order may do: from where to where.
func ways() map[orderv1.State][]orderv1.State {
	return map[orderv1.State][]orderv1.State{
		orderv1.State_PLACED:     {orderv1.State_CONFIRMED, orderv1.State_REJECTED},
		orderv1.State_CONFIRMED:  {orderv1.State_PAID},
		orderv1.State_PAID:       {orderv1.State_SHIPPED, orderv1.State_CANCELLING},
		orderv1.State_CANCELLING: {orderv1.State_CANCELLED, orderv1.State_PAID},
		orderv1.State_SHIPPED:    {orderv1.State_DELIVERED},
		orderv1.State_DELIVERED:  {orderv1.State_RETURNING},
		orderv1.State_RETURNING:  {orderv1.State_RETURNED},
	}
}

// become moves the order on, or says why it can't.
func (o *order) become(next orderv1.State, reason string, now time.Time) error {
	if !slices.Contains(ways()[o.state], next) {
		return rpc.Errorf(orderv1.Reason_WRONG_STATE, "order %s is %s and can't become %s", o.id, word(o.state), word(next))
	}
	o.state, o.reason = next, reason
	o.touch(now)
	o.history = append(o.history, change{state: next, reason: reason, at: now})
	return nil
}

// became tells whether the order has been in the state already. It comes into each
// once, but for one: the cancelled order that could not be stopped is paid again.
func (o *order) became(next orderv1.State) bool {
	if o.state == orderv1.State_CANCELLING && next == orderv1.State_PAID {
		return false
	}
	return slices.ContainsFunc(o.history, func(c change) bool { return c.state == next })
}

// wantStop notes that the customer wants the order cancelled; false: that was said
// before. It is refused when it is surely too late.
func (o *order) wantStop(now time.Time) (bool, error) {
	switch {
	case o.stopWanted || o.state == orderv1.State_CANCELLED:
		return false, nil
	case o.state == orderv1.State_PLACED, o.state == orderv1.State_CONFIRMED, o.state == orderv1.State_PAID:
		o.stopWanted = true
		o.touch(now)
		return true, nil
	}
	return false, rpc.Errorf(orderv1.Reason_WRONG_STATE, "order %s is %s and can't be cancelled any more", o.id, word(o.state))
}

func (o *order) touch(now time.Time) {
	o.version++
	o.updated = now
}

// over tells whether nothing more happens by itself.
func (o *order) over() bool {
	switch o.state {
	case orderv1.State_REJECTED, orderv1.State_CANCELLED, orderv1.State_DELIVERED, orderv1.State_RETURNED:
		return true
	}
	return false
}

// word is a state as people read it.
func word(s orderv1.State) string { return strings.ToLower(s.String()) }

// maxTotal bounds what one order may cost, in minor units.
const maxTotal = 1_000_000_000

// sum adds up the lines, exactly.
func sum(lines []line) (int64, error) {
	var total int64
	for _, l := range lines {
		if l.quantity <= 0 || l.price <= 0 || l.price > math.MaxInt64/l.quantity {
			return 0, fmt.Errorf("line %s: %d at %d", l.sku, l.quantity, l.price)
		}
		amount := l.price * l.quantity
		if amount > maxTotal || total > maxTotal-amount {
			return 0, fmt.Errorf("the sum is more than %d", maxTotal)
		}
		total += amount
	}
	return total, nil
}

// early tells whether the order can still come to where it may become next, but
// is not there yet.
func (o *order) early(next orderv1.State) bool {
	return !slices.Contains(ways()[o.state], next) && leads(o.state, next)
}

// leads tells whether an order of one state can come into the other.
func leads(from, to orderv1.State) bool {
	reached := []orderv1.State{from}
	for i := 0; i < len(reached); i++ {
		for _, next := range ways()[reached[i]] {
			if !slices.Contains(reached, next) {
				reached = append(reached, next)
			}
		}
	}
	return slices.Contains(reached[1:], to)
}
