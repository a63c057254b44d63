package shards

import (
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	repeats *prometheus.CounterVec
	moves   *prometheus.CounterVec
	fenced  prometheus.Histogram
}

func newMetrics(to prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		repeats: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "warren_shard_repeats_total",
			Help: "Transactions that found their shard elsewhere or fenced, and were begun again.",
		}, []string{"reason"}),
		moves: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "warren_shard_moves_total",
			Help: "Moves of shards that this process ended.",
		}, []string{"outcome"}),
		fenced: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "warren_shard_fenced_seconds",
			Help:    "How long shards were fenced while they were moved.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}),
	}
	if to == nil {
		return m, nil
	}
	for _, c := range m.all() {
		if err := to.Register(c); err != nil {
			m.unregister(to)
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.repeats, m.moves, m.fenced}
}

func (m *metrics) unregister(from prometheus.Registerer) {
	if from == nil {
		return
	}
	for _, c := range m.all() {
		from.Unregister(c)
	}
}
