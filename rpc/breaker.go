package rpc

import (
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
)

// breakerPolicy is what the settings say of a breaker.
type breakerPolicy struct {
	ratio  float64
	calls  uint
	window time.Duration
	open   time.Duration
	probes uint
}

// breaker stands between one method and one instance: a method that is broken
// on an instance must not cost the instance its other methods.
type breaker struct {
	policy  breakerPolicy
	circuit circuitbreaker.CircuitBreaker[any]
}

func newBreaker(p breakerPolicy, changed func(circuitbreaker.StateChangedEvent)) *breaker {
	return &breaker{policy: p, circuit: circuitbreaker.NewBuilder[any]().
		WithFailureRateThreshold(p.ratio, p.calls, p.window).
		WithDelay(p.open).
		WithSuccessThreshold(p.probes).
		OnStateChanged(changed).
		Build()}
}

// allow reports whether a call may be sent; each that is must be recorded.
func (b *breaker) allow() bool { return b.circuit.TryAcquirePermit() }

func (b *breaker) record(o outcome) {
	switch {
	case o == succeeded:
		b.circuit.RecordSuccess()
	case o == failed:
		b.circuit.RecordFailure()
	case b.circuit.IsHalfOpen():
		// A probe that was cancelled proved nothing. Its permit comes back
		// only with a verdict, and a wrong "healthy" is the costlier one.
		b.circuit.RecordFailure()
	}
}

// breaker returns the instance's breaker for the method. A change of its
// numbers starts it anew; a change of others does not.
func (s *stats) breaker(m *method, p breakerPolicy) *breaker {
	if list := s.breakers.Load(); list != nil && m.index < len(*list) {
		if b := (*list)[m.index]; b != nil && b.policy == p {
			return b
		}
	}
	return s.addBreaker(m, p)
}

func (s *stats) addBreaker(m *method, p breakerPolicy) *breaker {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*breaker
	if old := s.breakers.Load(); old != nil {
		list = *old
	}
	if m.index < len(list) && list[m.index] != nil && list[m.index].policy == p {
		return list[m.index]
	}
	next := make([]*breaker, max(len(list), m.index+1))
	copy(next, list)
	b := newBreaker(p, func(e circuitbreaker.StateChangedEvent) { s.breakerChanged(m, e) })
	next[m.index] = b
	s.breakers.Store(&next)
	return b
}

func (s *stats) breakerChanged(m *method, e circuitbreaker.StateChangedEvent) {
	switch e.NewState {
	case circuitbreaker.OpenState:
		s.logger.Warn("circuit breaker opened", "method", m.fullName, "instance", s.id,
			"failed", e.Metrics().Failures(), "calls", e.Metrics().Executions())
	case circuitbreaker.ClosedState:
		s.logger.Info("circuit breaker closed", "method", m.fullName, "instance", s.id)
	}
}
