package cache

import (
	"fmt"

	"github.com/maypok86/otter/v2/stats"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the cache's, bound once so that a hit costs one atomic addition.
// It is also what the storage reports evictions to.
type metrics struct {
	stats.NoopRecorder

	hits, negatives, stales, misses prometheus.Counter
	loads, loadsEmpty, loadErrors   prometheus.Observer
	local, remote                   prometheus.Counter
	evictions                       prometheus.Counter

	all []prometheus.Collector
	to  prometheus.Registerer
}

func newMetrics(name string, size func() int) *metrics {
	label := prometheus.Labels{"cache": name}
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "warren_cache_requests_total", ConstLabels: label,
		Help: "Reads by result: hit, negative (known to be absent), stale (a failed load's stand-in), miss.",
	}, []string{"result"})
	loads := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "warren_cache_load_duration_seconds", ConstLabels: label,
		Help:    "How long loads took, by result: ok, not_found, error.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"result"})
	invalidations := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "warren_cache_invalidations_total", ConstLabels: label,
		Help: "Keys invalidated by this instance (local) and by others (remote).",
	}, []string{"origin"})
	evictions := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "warren_cache_evictions_total", ConstLabels: label, Help: "Entries evicted for lack of room.",
	})
	entries := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "warren_cache_entries", ConstLabels: label, Help: "Entries held, expired ones included.",
	}, func() float64 { return float64(size()) })
	return &metrics{
		hits: requests.WithLabelValues("hit"), negatives: requests.WithLabelValues("negative"),
		stales: requests.WithLabelValues("stale"), misses: requests.WithLabelValues("miss"),
		loads: loads.WithLabelValues("ok"), loadsEmpty: loads.WithLabelValues("not_found"), loadErrors: loads.WithLabelValues("error"),
		local: invalidations.WithLabelValues("local"), remote: invalidations.WithLabelValues("remote"),
		evictions: evictions,
		all:       []prometheus.Collector{requests, loads, invalidations, evictions, entries},
	}
}

// RecordEviction implements stats.Recorder.
func (m *metrics) RecordEviction(uint32) { m.evictions.Inc() }

// register adds the metrics to the process's, all or none.
func (m *metrics) register(to prometheus.Registerer) error {
	if to == nil {
		return nil
	}
	m.to = to
	for i, c := range m.all {
		if err := to.Register(c); err != nil {
			m.all = m.all[:i]
			m.unregister()
			return fmt.Errorf("register metrics: another cache of this name is open? %w", err)
		}
	}
	return nil
}

func (m *metrics) unregister() {
	if m.to == nil {
		return
	}
	for _, c := range m.all {
		m.to.Unregister(c)
	}
}
