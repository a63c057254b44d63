package rpc

import (
	"cmp"
	"slices"
	"time"
)

// TargetState is what a client knows of one contract that it calls.
type TargetState struct {
	Contract  string          `json:"contract"`
	Usable    int             `json:"usable"`
	Throttled float64         `json:"throttled"` // the chance that a call is not sent
	Retries   float64         `json:"retries"`   // how many the budget allows now
	Instances []InstanceState `json:"instances"`
}

// InstanceState is what a client knows of one instance.
type InstanceState struct {
	ID         string            `json:"id"`
	Service    string            `json:"service"`
	Version    string            `json:"version,omitempty"`
	Zone       string            `json:"zone,omitempty"`
	Address    string            `json:"address"`
	Connection string            `json:"connection"`
	InFlight   int64             `json:"in_flight"`
	Latency    time.Duration     `json:"latency"`
	Ejected    time.Duration     `json:"ejected,omitempty"` // for how much longer
	Breakers   map[string]string `json:"breakers,omitempty"`
}

// State tells, for people, what the client knows of the contracts it calls.
func (c *Client) State() []TargetState {
	c.methods.mu.Lock()
	methods := slices.Clone(c.methods.all)
	c.methods.mu.Unlock()
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	states := []TargetState{}
	for _, t := range c.pool.targets {
		s := TargetState{
			Contract: t.name, Usable: len(t.view.Load().usable),
			Throttled: t.throttle.current(), Retries: float64(t.budget.tokens.Load()) / token,
			Instances: []InstanceState{},
		}
		for _, in := range c.pool.serving(t.name) {
			s.Instances = append(s.Instances, in.describe(methods, t, c.now()))
		}
		states = append(states, s)
	}
	slices.SortFunc(states, func(a, b TargetState) int { return cmp.Compare(a.Contract, b.Contract) })
	return states
}

// describe returns the instance's state; the pool's lock is held.
func (in *instance) describe(methods []*method, t *target, now int64) InstanceState {
	s := InstanceState{
		ID: in.key.id, Service: in.key.service, Version: in.info.Version, Zone: in.info.Zone, Address: in.dial,
		Connection: in.state.String(), InFlight: in.stats.node.InFlight(), Latency: in.stats.node.Latency(now),
		Ejected: time.Duration(max(0, in.stats.outlier.until.Load()-now)),
	}
	list := in.stats.breakers.Load()
	if list == nil {
		return s
	}
	for i, b := range *list {
		if b != nil && i < len(methods) && methods[i].target == t {
			if s.Breakers == nil {
				s.Breakers = map[string]string{}
			}
			s.Breakers[methods[i].fullName] = b.circuit.State().String()
		}
	}
	return s
}
