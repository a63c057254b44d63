package registry

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	instances       *prometheus.GaugeVec
	stale           prometheus.Gauge
	revision        prometheus.Gauge
	registered      prometheus.Gauge
	snapshots       prometheus.Counter
	panics          prometheus.Counter
	outages         prometheus.Counter
	reregistrations prometheus.Counter
}

func newMetrics(to prometheus.Registerer) *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return register(to, prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help}))
	}
	counter := func(name, help string) prometheus.Counter {
		return register(to, prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help}))
	}
	m := &metrics{
		instances: register(to, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "warren_registry_instances", Help: "Instances known, by state; suspects are kept although the registry lost them.",
		}, []string{"state"})),
		stale:           gauge("warren_registry_stale", "1 while the registry is away and its last word is used."),
		revision:        gauge("warren_registry_revision", "The registry's count of changes as last seen."),
		registered:      gauge("warren_registry_registered", "Instances of this process that the registry holds."),
		snapshots:       counter("warren_registry_snapshots_total", "Snapshots made from the changes in the registry."),
		panics:          counter("warren_registry_panics_total", "Times that most instances expired together and were kept."),
		outages:         counter("warren_registry_outages_total", "Times that the registry went away."),
		reregistrations: counter("warren_registry_reregistrations_total", "Times that an instance of this process had to be registered again."),
	}
	m.stale.Set(1)
	return m
}

// show makes the gauges say what s says.
func (m *metrics) show(s *Snapshot) {
	states := map[string]int{string(Starting): 0, string(Ready): 0, string(Draining): 0, "suspect": 0, "other": 0}
	for _, instance := range s.Instances {
		state := string(instance.State)
		if _, known := states[state]; !known {
			state = "other" // the states in the registry must not become labels without bound
		}
		if instance.Suspect {
			state = "suspect"
		}
		states[state]++
	}
	for state, n := range states {
		m.instances.WithLabelValues(state).Set(float64(n))
	}
	m.stale.Set(0)
	if s.Stale {
		m.stale.Set(1)
	}
	m.revision.Set(float64(s.Revision))
	m.snapshots.Inc()
}

// register returns the collector that is there already, if one is: two
// registries of one process share their metrics.
func register[C prometheus.Collector](to prometheus.Registerer, c C) C {
	err := to.Register(c)
	if exists, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if there, ok := exists.ExistingCollector.(C); ok {
			return there
		}
	}
	return c
}
