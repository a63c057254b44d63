package rpc

import (
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/prometheus/client_golang/prometheus"
)

// instanceCollector counts instances and breakers when it is asked: nothing
// has to be kept in step.
type instanceCollector struct {
	client              *Client
	instances, breakers *prometheus.Desc
}

// Describe is part of prometheus.Collector.
func (i *instanceCollector) Describe(to chan<- *prometheus.Desc) {
	to <- i.instances
	to <- i.breakers
}

// Collect is part of prometheus.Collector.
func (i *instanceCollector) Collect(to chan<- prometheus.Metric) {
	targets := i.client.targets.Load()
	if targets == nil {
		return
	}
	for _, t := range *targets {
		v := t.view.Load()
		if v.known == 0 {
			continue // names that nobody serves may come from strangers
		}
		for state, n := range map[string]int{"usable": len(v.usable), "ejected": v.ejected, "known": v.known} {
			gauge(to, i.instances, float64(n), t.name, state)
		}
	}
	for method, states := range i.client.brokenMethods() {
		for state, n := range states {
			gauge(to, i.breakers, float64(n), method, state.String())
		}
	}
}

func gauge(to chan<- prometheus.Metric, desc *prometheus.Desc, v float64, labels ...string) {
	m, err := prometheus.NewConstMetric(desc, prometheus.GaugeValue, v, labels...)
	if err != nil { // a name that is not UTF-8: the scrape fails and says so
		m = prometheus.NewInvalidMetric(desc, err)
	}
	to <- m
}

// brokenMethods counts the breakers that are not closed, by method.
func (c *Client) brokenMethods() map[string]map[circuitbreaker.State]int {
	c.methods.mu.Lock()
	methods := c.methods.all
	c.methods.mu.Unlock()
	broken := map[string]map[circuitbreaker.State]int{}
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	for _, in := range c.pool.instances {
		list := in.stats.breakers.Load()
		if list == nil {
			continue
		}
		for i, b := range *list {
			if b == nil || i >= len(methods) || b.circuit.IsClosed() {
				continue
			}
			label := methods[i].metrics.label
			if broken[label] == nil {
				broken[label] = map[circuitbreaker.State]int{}
			}
			broken[label][b.circuit.State()]++
		}
	}
	return broken
}
