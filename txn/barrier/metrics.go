package barrier

import (
	"errors"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
)

type metrics struct {
	calls    *prometheus.CounterVec
	prepared prometheus.Gauge
	oldest   prometheus.Gauge
	lost     prometheus.Counter
}

func newMetrics(to prometheus.Registerer) *metrics {
	if to == nil {
		to = prometheus.NewRegistry()
	}
	return &metrics{
		calls: register(to, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "warren_txn_barrier_calls_total",
			Help: "Calls that were branches of transactions, by operation, what the barrier made of them, and outcome."},
			[]string{"op", "barrier", "outcome"})),
		prepared: register(to, prometheus.NewGauge(prometheus.GaugeOpts{Name: "warren_txn_prepared",
			Help: "Transactions prepared in the service's databases and not decided."})),
		oldest: register(to, prometheus.NewGauge(prometheus.GaugeOpts{Name: "warren_txn_prepared_oldest_seconds",
			Help: "Age of the oldest prepared transaction that is not decided."})),
		lost: register(to, prometheus.NewCounter(prometheus.CounterOpts{Name: "warren_txn_prepared_lost_total",
			Help: "Prepared transactions that were to be committed and were not there any more."})),
	}
}

func register[C prometheus.Collector](to prometheus.Registerer, c C) C {
	err := to.Register(c)
	if exists, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if there, ok := exists.ExistingCollector.(C); ok {
			return there
		}
	}
	return c
}

func (m *metrics) passed(o txnv1.Op, how string, outcome txnv1.Outcome_Kind) {
	name := op(o)
	if name == "" {
		name = "unknown"
	}
	m.calls.WithLabelValues(name, how, strings.ToLower(strings.TrimPrefix(outcome.String(), "KIND_"))).Inc()
}
