package main

import (
	"errors"
	"testing"
	"time"

	"github.com/gowarren/warren/rpc"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// Every pair of states is either a way of the table or refused, and a refused one
// changes nothing.
func TestAnOrderGoesItsWaysOnly(t *testing.T) {
	allowed := map[[2]orderv1.State]bool{
		{orderv1.State_PLACED, orderv1.State_CONFIRMED}:     true,
		{orderv1.State_PLACED, orderv1.State_REJECTED}:      true,
		{orderv1.State_CONFIRMED, orderv1.State_PAID}:       true,
		{orderv1.State_PAID, orderv1.State_SHIPPED}:         true,
		{orderv1.State_PAID, orderv1.State_CANCELLING}:      true,
		{orderv1.State_CANCELLING, orderv1.State_CANCELLED}: true,
		{orderv1.State_CANCELLING, orderv1.State_PAID}:      true,
		{orderv1.State_SHIPPED, orderv1.State_DELIVERED}:    true,
		{orderv1.State_DELIVERED, orderv1.State_RETURNING}:  true,
		{orderv1.State_RETURNING, orderv1.State_RETURNED}:   true,
	}
	for from := range orderv1.State_name {
		for to := range orderv1.State_name {
			o := &order{id: "o", state: orderv1.State(from), version: 7}
			err := o.become(orderv1.State(to), "because", noon)
			if want := allowed[[2]orderv1.State{orderv1.State(from), orderv1.State(to)}]; (err == nil) != want {
				t.Errorf("%s to %s: %v", orderv1.State(from), orderv1.State(to), err)
			}
			switch {
			case err == nil && (o.state != orderv1.State(to) || o.version != 8 || len(o.history) != 1 || !o.updated.Equal(noon)):
				t.Errorf("%s to %s: became %+v", orderv1.State(from), orderv1.State(to), o)
			case err != nil && (!errors.Is(err, rpc.Reason(orderv1.Reason_WRONG_STATE)) || o.version != 7 || o.state != orderv1.State(from)):
				t.Errorf("%s to %s: refused with %v, and is %+v", orderv1.State(from), orderv1.State(to), err, o)
			}
		}
	}
}

// Nothing that is over goes on by itself, and no cancelled order becomes a paid
// one (I3).
func TestWhatIsOverStaysOver(t *testing.T) {
	for state := range orderv1.State_name {
		o := &order{state: orderv1.State(state)}
		ended := len(ways()[o.state]) == 0 && o.state != orderv1.State_STATE_UNSPECIFIED
		if ended && !o.over() {
			t.Errorf("%s has no way on, and watchers wait for one", o.state)
		}
	}
	if len(ways()[orderv1.State_CANCELLED]) != 0 || len(ways()[orderv1.State_REJECTED]) != 0 || len(ways()[orderv1.State_RETURNED]) != 0 {
		t.Error("there is a way out of an end")
	}
}

func TestWhoMayStillCancel(t *testing.T) {
	for state, want := range map[orderv1.State]bool{
		orderv1.State_PLACED: true, orderv1.State_CONFIRMED: true, orderv1.State_PAID: true,
		orderv1.State_SHIPPED: false, orderv1.State_DELIVERED: false, orderv1.State_REJECTED: false,
	} {
		o := &order{id: "o", state: state}
		first, err := o.wantStop(noon)
		if first != want || (err == nil) != want {
			t.Errorf("%s: %v, %v", state, first, err)
		}
		if !want {
			continue
		}
		if again, err := o.wantStop(noon); again || err != nil || o.version != 1 {
			t.Errorf("%s, said twice: %v, %v, version %d", state, again, err, o.version)
		}
	}
}

func TestSumsAreExact(t *testing.T) {
	tests := map[string]struct {
		lines []line
		want  int64 // 0: refused
	}{
		"one":           {[]line{{price: 255, quantity: 6}}, 1530},
		"several":       {[]line{{price: 255, quantity: 6}, {price: 1, quantity: 3}}, 1533},
		"nothing of it": {[]line{{price: 255}}, 0},
		"less":          {[]line{{price: 255, quantity: -1}}, 0},
		"for nothing":   {[]line{{quantity: 1}}, 0},
		"the most":      {[]line{{price: maxTotal, quantity: 1}}, maxTotal},
		"too much":      {[]line{{price: maxTotal, quantity: 1}, {price: 1, quantity: 1}}, 0},
		"overflow":      {[]line{{price: 1 << 62, quantity: 4}}, 0},
		"wraps around":  {[]line{{price: 1 << 40, quantity: 1 << 24}}, 0},
	}
	for name, tt := range tests {
		got, err := sum(tt.lines)
		if got != tt.want || (err == nil) != (tt.want != 0) {
			t.Errorf("%s: %d, %v; want %d", name, got, err, tt.want)
		}
	}
}

func TestAProductIsOrderedOnce(t *testing.T) {
	err := distinct([]*orderv1.PlaceOrderLine{{Sku: "85123A"}, {Sku: "22423"}, {Sku: "85123a"}})
	if !errors.Is(err, rpc.Reason(orderv1.Reason_REPEATED_LINE)) || rpc.FromError(err).Violations[0].Field != "lines[2].sku" {
		t.Errorf("got %v", err)
	}
}

// What the carrier says before the saga has had its last word waits for it.
func TestNewsThatComeEarlyWait(t *testing.T) {
	for state, want := range map[orderv1.State]bool{
		orderv1.State_PLACED: true, orderv1.State_CONFIRMED: true, orderv1.State_CANCELLING: true,
		orderv1.State_PAID: false, orderv1.State_CANCELLED: false, orderv1.State_REJECTED: false,
	} {
		if got := (&order{state: state}).early(orderv1.State_SHIPPED); got != want {
			t.Errorf("shipped while %s is early: %v", state, got)
		}
	}
	for state, want := range map[orderv1.State]bool{
		orderv1.State_PAID: true, orderv1.State_CANCELLING: true, orderv1.State_SHIPPED: false, orderv1.State_CANCELLED: false,
	} {
		if got := (&order{state: state}).early(orderv1.State_DELIVERED); got != want {
			t.Errorf("delivered while %s is early: %v", state, got)
		}
	}
}

// What is said twice has been said; only who could not be stopped is paid again.
func TestAStateIsComeIntoOnce(t *testing.T) {
	o := &order{state: orderv1.State_PLACED}
	for _, next := range []orderv1.State{orderv1.State_CONFIRMED, orderv1.State_PAID, orderv1.State_CANCELLING, orderv1.State_PAID, orderv1.State_SHIPPED} {
		if o.became(next) {
			t.Errorf("%s, it became %s before", o.state, next)
		}
		if err := o.become(next, "", noon); err != nil {
			t.Fatal(err)
		}
		if !o.became(next) {
			t.Errorf("it has just become %s", next)
		}
	}
	if !o.became(orderv1.State_PAID) || o.became(orderv1.State_DELIVERED) {
		t.Errorf("it went %v", o.history)
	}
}
