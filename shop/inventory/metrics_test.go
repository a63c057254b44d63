package main

import (
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestReservationsAreCounted(t *testing.T) {
	m, err := newMeter(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{nil, nil, outOfStock("sku", 1, 2), errors.New("disk is full")} {
		if got := m.count("reserved", err); !errors.Is(got, err) {
			t.Errorf("%v became %v", err, got)
		}
	}
	for outcome, want := range map[string]float64{"reserved": 2, "out_of_stock": 1, "failed": 1, "released": 0} {
		if got := testutil.ToFloat64(m.reservations.WithLabelValues(outcome)); got != want {
			t.Errorf("%v are %s, want %v", got, outcome, want)
		}
	}
}
