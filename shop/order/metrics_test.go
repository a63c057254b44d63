package main

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
)

// follow has an order go through states, a second each, and tells the meter of
// each; a state that it is in already is a wish to cancel.
func follow(t *testing.T, m *meter, states ...orderv1.State) {
	t.Helper()
	o := &order{id: "o", state: orderv1.State_PLACED, version: 1, created: noon, updated: noon, history: []change{{state: orderv1.State_PLACED, at: noon}}}
	m.told(o)
	for i, next := range states {
		now := noon.Add(time.Duration(i+1) * time.Second)
		if next == o.state {
			o.touch(now)
		} else if err := o.become(next, "", now); err != nil {
			t.Fatal(err)
		}
		m.told(o)
	}
}

func TestOrdersAreCountedOnceInEachState(t *testing.T) {
	m, err := newMeter(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	const confirmed, paid, shipped = orderv1.State_CONFIRMED, orderv1.State_PAID, orderv1.State_SHIPPED
	follow(t, m, confirmed, paid, shipped, orderv1.State_DELIVERED)
	follow(t, m, orderv1.State_PLACED, confirmed, paid, paid, orderv1.State_CANCELLING, orderv1.State_CANCELLED)
	follow(t, m, orderv1.State_REJECTED)
	for state, want := range map[string]float64{
		"placed": 3, "confirmed": 2, "paid": 2, "shipped": 1, "delivered": 1, "cancelling": 1, "cancelled": 1, "rejected": 1,
		"returning": 0, "returned": 0,
	} {
		if got := testutil.ToFloat64(m.states.WithLabelValues(state)); got != want {
			t.Errorf("%s: %v; want %v", state, got, want)
		}
	}
	if n := testutil.CollectAndCount(m.states); n != len(orderv1.State_name)-1 {
		t.Errorf("%d states are counted, of %d", n, len(orderv1.State_name)-1)
	}
}

func TestACheckoutLastsUntilItIsPaidOrRejected(t *testing.T) {
	m, err := newMeter(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	const cancelling, paid = orderv1.State_CANCELLING, orderv1.State_PAID
	follow(t, m, orderv1.State_CONFIRMED, paid, cancelling, paid, orderv1.State_SHIPPED) // paid again is no checkout
	follow(t, m, orderv1.State_REJECTED)
	for outcome, want := range map[string]float64{"paid": 2, "rejected": 1} {
		got := &dto.Metric{}
		if err := m.checkout.WithLabelValues(outcome).(prometheus.Metric).Write(got); err != nil {
			t.Fatal(err)
		}
		if h := got.GetHistogram(); h.GetSampleCount() != 1 || h.GetSampleSum() != want {
			t.Errorf("%s: %d lasted %v s; want one of %v", outcome, h.GetSampleCount(), h.GetSampleSum(), want)
		}
	}
}
