package metricstore

import (
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

type metrics struct {
	queries *prometheus.HistogramVec
	cut     prometheus.Counter
	refused *prometheus.CounterVec
}

func newMetrics(to prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		queries: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "warren_metrics_query_duration_seconds", Help: "How long questions to the store of metrics took, by outcome.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}, []string{"outcome"}),
		cut: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "warren_metrics_answers_cut_total", Help: "Answers that were cut off at a limit.",
		}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "warren_metrics_refused_samples_total", Help: "Samples that were not stored, by why.",
		}, []string{"service", "reason"}),
	}
	for _, c := range []prometheus.Collector{m.queries, m.cut, m.refused} {
		if err := to.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) observe(began time.Time, outcome string) {
	m.queries.WithLabelValues(outcome).Observe(time.Since(began).Seconds())
}

func (*metrics) handler(from prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(from, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}
