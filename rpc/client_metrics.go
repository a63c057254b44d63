package rpc

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
)

// numCodes is how many canonical codes there are; others count as Unknown.
const numCodes = int(codes.Unauthenticated) + 1

// retryKind says what became of a wish to try again.
type retryKind int

const (
	retryRepeat   retryKind = iota // sent again
	retryFailover                  // sent elsewhere: it had reached nobody
	retryHedge                     // sent to a second instance, the first being slow
	retryRefused                   // not sent again: the budget is used up
	numRetryKinds
)

var retryKinds = [numRetryKinds]string{"retry", "failover", "hedge", "over_budget"}

// clientMetrics are the metrics of all calls. Labels are methods of contracts
// and codes, so their number is bounded.
type clientMetrics struct {
	registerer prometheus.Registerer
	durations  *prometheus.HistogramVec
	retries    *prometheus.CounterVec
	ejections  prometheus.Counter
	throttled  prometheus.Counter
	instances  *instanceCollector
	policies   *policyCollector
}

func newClientMetrics(c *Client, to prometheus.Registerer) (*clientMetrics, error) {
	m := &clientMetrics{
		registerer: to,
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "rpc_client_call_duration_seconds", Help: "How long calls took, retries included.",
			Buckets:     []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
			ConstLabels: prometheus.Labels{"rpc_system_name": "grpc"},
		}, []string{"rpc_method", "rpc_response_status_code", "error_type"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "warren_rpc_retries_total", Help: "Further attempts, by kind; over_budget ones were not made.",
		}, []string{"rpc_method", "kind"}),
		ejections: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "warren_rpc_ejections_total", Help: "How often an instance was ejected for its failures.",
		}),
		throttled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "warren_rpc_throttled_total", Help: "Calls not sent because their contract is overloaded.",
		}),
		instances: &instanceCollector{
			client: c,
			instances: prometheus.NewDesc("warren_rpc_instances",
				"Instances of the contracts that this process calls, by what can be done with them.", []string{"contract", "state"}, nil),
			breakers: prometheus.NewDesc("warren_rpc_breaker_state",
				"Breakers between methods and instances that are not closed, by state.", []string{"rpc_method", "state"}, nil),
		},
		policies: newPolicyCollector(c),
	}
	if to == nil {
		return m, nil
	}
	for i, collector := range m.all() {
		if err := to.Register(collector); err != nil {
			for _, done := range m.all()[:i] {
				to.Unregister(done)
			}
			return nil, err
		}
	}
	return m, nil
}

func (m *clientMetrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.durations, m.retries, m.ejections, m.throttled, m.instances, m.policies}
}

func (m *clientMetrics) close() {
	if m.registerer == nil {
		return
	}
	for _, collector := range m.all() {
		m.registerer.Unregister(collector)
	}
}

// clientMethodMetrics are the metrics of one method, with their labels bound.
type clientMethodMetrics struct {
	all       *clientMetrics
	label     string
	durations [numCodes]atomic.Pointer[prometheus.Observer]
	retries   [numRetryKinds]prometheus.Counter
}

// method binds the labels of a method. The names of methods that no contract
// describes may come from strangers: they share one.
func (m *clientMetrics) method(fullName string, described bool) *clientMethodMetrics {
	bound := &clientMethodMetrics{all: m, label: fullName[1:]}
	if !described {
		bound.label = "_OTHER"
	}
	for kind, name := range retryKinds {
		bound.retries[kind] = m.retries.WithLabelValues(bound.label, name)
	}
	return bound
}

func (m *clientMethodMetrics) observe(code codes.Code, took time.Duration) {
	if m.all.registerer == nil {
		return // nobody could read it
	}
	i := int(code)
	if i >= numCodes {
		i = int(codes.Unknown)
	}
	o := m.durations[i].Load()
	if o == nil { // most codes never come
		wrong := ""
		if i != int(codes.OK) {
			wrong = codeNames[i]
		}
		bound := m.all.durations.WithLabelValues(m.label, codeNames[i], wrong)
		o = &bound
		m.durations[i].Store(o)
	}
	(*o).Observe(took.Seconds())
}

func (m *clientMethodMetrics) retried(kind retryKind) { m.retries[kind].Inc() }

// codeNames are the canonical names, as OpenTelemetry wants them.
var codeNames = [numCodes]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
	"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
	"UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}
