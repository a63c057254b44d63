package main

import (
	"slices"
	"time"

	"github.com/gowarren/warren/rpc"
	inventoryv1 "github.com/gowarren/warren/shop/api/shop/inventory/v1"
)

// The states of a reservation.
const (
	held      = inventoryv1.ReservationState_HELD
	givenBack = inventoryv1.ReservationState_GIVEN_BACK
	lapsed    = inventoryv1.ReservationState_LAPSED
	confirmed = inventoryv1.ReservationState_CONFIRMED
)

// reservation is a promise of stock:
//
//	held ──→ confirmed       sold
//	  ├────→ givenBack
//	  └────→ lapsed ──→ confirmed   if there is still enough
type reservation struct {
	id               string
	state            inventoryv1.ReservationState
	lines            []line
	expires          time.Time
	created, updated time.Time
}

// maxKeep bounds how long stock can be kept from others.
const maxKeep = 7 * 24 * time.Hour

// checkExpiry tells what is wrong with the end of a new reservation.
func (r reservation) checkExpiry(now time.Time) error {
	if !r.expires.After(now) {
		return refuse(inventoryv1.Reason_BAD_EXPIRE_TIME, "expire_time", "the reservation would have expired already")
	}
	if r.expires.After(now.Add(maxKeep)) {
		return refuse(inventoryv1.Reason_BAD_EXPIRE_TIME, "expire_time", "a reservation holds for at most %v", maxKeep)
	}
	return nil
}

// again answers who makes a reservation that is there already.
func (r reservation) again(lines []line) error {
	switch {
	case r.state == givenBack, r.state == lapsed:
		return ended(r.id)
	case !slices.Equal(r.lines, lines):
		return rpc.Errorf(inventoryv1.Reason_OTHER_LINES, "there is a reservation %q with other lines", r.id)
	}
	return nil
}

// step is what a change of a reservation does to it and to its stock.
type step struct {
	to        inventoryv1.ReservationState
	movements []inventoryv1.MovementKind // one after the other, for all lines
}

// nothing is the step of what is done already.
var nothing = step{}

// release is what giving the reservation back does.
func (r reservation) release() (step, error) {
	switch r.state {
	case held:
		return step{givenBack, []inventoryv1.MovementKind{inventoryv1.MovementKind_RELEASED}}, nil
	case confirmed:
		return nothing, rpc.Errorf(inventoryv1.Reason_RESERVATION_CONFIRMED, "reservation %q is confirmed: what it held is sold", r.id)
	default:
		return nothing, nil
	}
}

// lapse is what the passing of time does.
func (r reservation) lapse(now time.Time) step {
	if r.state != held || r.expires.After(now) {
		return nothing
	}
	return step{lapsed, []inventoryv1.MovementKind{inventoryv1.MovementKind_EXPIRED}}
}

// confirm is what selling does. A reservation that has lapsed is made again
// first: who confirms has taken the money.
func (r reservation) confirm() (step, error) {
	switch r.state {
	case held:
		return step{confirmed, []inventoryv1.MovementKind{inventoryv1.MovementKind_SOLD}}, nil
	case lapsed:
		return step{confirmed, []inventoryv1.MovementKind{inventoryv1.MovementKind_RESERVED, inventoryv1.MovementKind_SOLD}}, nil
	case givenBack:
		return nothing, ended(r.id)
	default:
		return nothing, nil
	}
}

func ended(id string) error {
	return rpc.Errorf(inventoryv1.Reason_RESERVATION_ENDED, "reservation %q has ended", id)
}
