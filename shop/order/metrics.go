package main

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
)

// meter counts how orders fare.
type meter struct {
	states   *prometheus.CounterVec
	checkout *prometheus.HistogramVec
}

func newMeter(metrics prometheus.Registerer) (*meter, error) {
	m := &meter{
		states: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "shop_orders_total", Help: "Orders that came into a state.",
		}, []string{"state"}),
		checkout: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "shop_checkout_duration_seconds", Help: "From the placing of an order until it was paid or rejected.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800},
		}, []string{"outcome"}),
	}
	for state := range orderv1.State_name { // those that never happened are 0
		if state != 0 {
			m.states.WithLabelValues(word(orderv1.State(state)))
		}
	}
	for _, c := range []prometheus.Collector{m.states, m.checkout} {
		if err := metrics.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of orders: %w", err)
		}
	}
	return m, nil
}

// told counts what an order has become.
func (m *meter) told(o *order) {
	last := o.history[len(o.history)-1]
	if !last.at.Equal(o.updated) {
		return // its state is what it was
	}
	m.states.WithLabelValues(word(o.state)).Inc()
	before := orderv1.State_STATE_UNSPECIFIED
	if len(o.history) > 1 {
		before = o.history[len(o.history)-2].state
	}
	switch {
	case o.state == orderv1.State_REJECTED, o.state == orderv1.State_PAID && before == orderv1.State_CONFIRMED:
		m.checkout.WithLabelValues(word(o.state)).Observe(last.at.Sub(o.created).Seconds())
	}
}
