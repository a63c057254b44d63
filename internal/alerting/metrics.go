package alerting

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	deliveries, changes *prometheus.CounterVec
	refused             prometheus.Gauge
}

func newMetrics(to prometheus.Registerer, e *Engine) (*metrics, error) {
	m := &metrics{
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "warren_alerts_deliveries_total", Help: "Attempts to tell receivers of alerts, by outcome.",
		}, []string{"receiver", "kind", "outcome"}),
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "warren_alerts_changes_total", Help: "Times that alerts fired or were resolved.",
		}, []string{"severity", "change"}),
		refused: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "warren_alerts_file_refused", Help: "1 while the file of alerts is wrong and what it said before is in force.",
		}),
	}
	silenced := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "warren_alerts_silences", Help: "Silences in force."},
		func() float64 { return float64(len(e.silences.list(false))) })
	if to == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.deliveries, m.changes, m.refused, silenced} {
		if err := to.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}
