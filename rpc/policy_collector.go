package rpc

import "github.com/prometheus/client_golang/prometheus"

// policyCollector tells what holds for the methods that this process has called,
// as contracts and settings say now: a change is seen when it takes hold.
type policyCollector struct {
	client                   *Client
	timeout, attempts, hedge *prometheus.Desc
}

func newPolicyCollector(c *Client) *policyCollector {
	methods := []string{"rpc_method"}
	return &policyCollector{
		client: c,
		timeout: prometheus.NewDesc("warren_rpc_timeout_seconds",
			"How long a call of the method may take, retries included, as is in force; 0: without end.", methods, nil),
		attempts: prometheus.NewDesc("warren_rpc_attempts",
			"How often a call of the method is tried at most, as is in force.", methods, nil),
		hedge: prometheus.NewDesc("warren_rpc_hedge_delay_seconds",
			"After how long a call of the method is sent a second time, as is in force; 0: never.", methods, nil),
	}
}

// Describe is part of prometheus.Collector.
func (p *policyCollector) Describe(to chan<- *prometheus.Desc) {
	to <- p.timeout
	to <- p.attempts
	to <- p.hedge
}

// Collect is part of prometheus.Collector. Methods without a contract, whose
// names may come from strangers, have no policies of their own.
func (p *policyCollector) Collect(to chan<- prometheus.Metric) {
	p.client.methods.mu.Lock()
	methods := p.client.methods.all
	p.client.methods.mu.Unlock()
	for _, m := range methods {
		described, policy := m.contract.Load(), m.policy.Load()
		if described == nil || policy == nil {
			continue
		}
		attempts, hedge := 1, 0.0
		if described.Idempotent {
			attempts = policy.attempts
		}
		if described.Safe {
			hedge = policy.hedge.Seconds()
		}
		gauge(to, p.timeout, policy.timeout.Seconds(), m.metrics.label)
		gauge(to, p.attempts, float64(attempts), m.metrics.label)
		gauge(to, p.hedge, hedge, m.metrics.label)
	}
}
