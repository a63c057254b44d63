package lock

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	held        prometheus.Gauge
	taken, lost prometheus.Counter
	waited      prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		held:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "warren_lock_held", Help: "Locks that this process holds."}),
		taken: prometheus.NewCounter(prometheus.CounterOpts{Name: "warren_lock_taken_total", Help: "Locks taken."}),
		lost:  prometheus.NewCounter(prometheus.CounterOpts{Name: "warren_lock_lost_total", Help: "Locks lost before they were released."}),
		waited: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "warren_lock_wait_seconds", Help: "How long it took to get a lock.",
			Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10, 60},
		}),
	}
	if r == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.held, m.taken, m.lost, m.waited} {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}
