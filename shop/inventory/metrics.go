package main

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gowarren/warren/rpc"
	inventoryv1 "github.com/gowarren/warren/shop/api/shop/inventory/v1"
)

// meter counts what becomes of reservations. What was out of stock is what the
// guard against overselling refused; what is oversold got past it.
type meter struct {
	reservations *prometheus.CounterVec
	oversold     prometheus.Gauge
}

func newMeter(metrics prometheus.Registerer) (*meter, error) {
	m := &meter{reservations: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "shop_stock_reservations_total", Help: "What became of reservations of stock; attempts that are repeated count again.",
	}, []string{"outcome"}), oversold: prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "shop_stock_oversold_products", Help: "Products of which more is promised than there is: 0, or something is wrong.",
	})}
	for _, outcome := range []string{"reserved", "out_of_stock", "released", "confirmed", "restocked", "expired", "failed"} { // what never happened is 0
		m.reservations.WithLabelValues(outcome)
	}
	if err := errors.Join(metrics.Register(m.reservations), metrics.Register(m.oversold)); err != nil {
		return nil, fmt.Errorf("register metrics of stock: %w", err)
	}
	return m, nil
}

// count notes how a step ended, and returns its error.
func (m *meter) count(outcome string, err error) error {
	switch {
	case errors.Is(err, rpc.Reason(inventoryv1.Reason_OUT_OF_STOCK)):
		outcome = "out_of_stock"
	case err != nil:
		outcome = "failed"
	}
	m.reservations.WithLabelValues(outcome).Inc()
	return err
}
