package idempotency

import "github.com/prometheus/client_golang/prometheus"

// outcome is what became of a call with a key.
type outcome string

const (
	outcomeFirst    outcome = "first"    // answered by the handler, and kept
	outcomeReplayed outcome = "replayed" // answered as before
	outcomeInUse    outcome = "in_use"
	outcomeReused   outcome = "reused" // for another request
	outcomeReleased outcome = "released"
	outcomeTaken    outcome = "taken_over" // by another call, as this one took too long
	outcomeError    outcome = "error"
)

type metrics struct {
	calls *prometheus.CounterVec
}

func newMetrics(to prometheus.Registerer) (*metrics, error) {
	m := &metrics{calls: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "warren_idempotency_calls_total",
		Help: "Calls with an idempotency key, by what became of them.",
	}, []string{"method", "outcome"})}
	if to == nil {
		return m, nil
	}
	return m, to.Register(m.calls)
}

func (m *metrics) count(method string, o outcome) {
	m.calls.WithLabelValues(method[1:], string(o)).Inc()
}
