package config

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics tell an operator which revision a process runs and what it refuses.
type metrics struct {
	refused *prometheus.CounterVec
}

func newMetrics(to prometheus.Registerer, s *Settings) (*metrics, error) {
	m := &metrics{refused: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "warren_config_refused_total",
		Help: "Documents and values from the configuration centre that were refused.",
	}, []string{"kind"})}
	m.refused.WithLabelValues("document")
	m.refused.WithLabelValues("value")
	if to == nil {
		return m, nil
	}
	err := errors.Join(
		to.Register(m.refused),
		to.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "warren_config_revision",
			Help: "The revision of the settings that this process runs.",
		}, func() float64 { return float64(s.Revision()) })),
		to.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "warren_config_stale",
			Help: "1 while the configuration centre is away or what it says is refused.",
		}, func() float64 {
			if s.Stale() {
				return 1
			}
			return 0
		})),
	)
	if err != nil {
		return nil, fmt.Errorf("register metrics of settings: %w", err)
	}
	return m, nil
}

func (m *metrics) refuse(kind string) { m.refused.WithLabelValues(kind).Inc() }
