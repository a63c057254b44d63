package rpc

import (
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
)

// breakerPolicy is what the settings say of a breaker.
type breakerPolicy struct {
	ratio  float64
	calls  uint
	window time.Duration
	open   time.Duration // at first; twice as long each time that trying again fails
	most   time.Duration
	probes uint
}

// period is how long a breaker stays open that opens for the n-th time in a row.
func (p breakerPolicy) period(n int) time.Duration {
	d, most := p.open, max(p.open, p.most)
	for ; n > 1 && d < most; n-- {
		d *= 2
	}
	return min(d, most)
}

// breaker stands between one method and one instance: a method that is broken
// on an instance must not cost the instance its other methods.
type breaker struct {
	policy  breakerPolicy
	circuit circuitbreaker.CircuitBreaker[any]
	// The circuit knows one period, the shortest; a longer one is kept here.
	opened atomic.Int64              // in a row
	until  atomic.Pointer[time.Time] // nil: not opened yet
}

func newBreaker(p breakerPolicy, changed func(circuitbreaker.StateChangedEvent)) *breaker {
	b := &breaker{policy: p}
	b.circuit = circuitbreaker.NewBuilder[any]().
		WithFailureRateThreshold(p.ratio, p.calls, p.window).
		WithDelay(p.open).
		WithSuccessThreshold(p.probes).
		OnStateChanged(func(e circuitbreaker.StateChangedEvent) {
			b.turned(e.NewState)
			changed(e)
		}).
		Build()
	return b
}

// turned sets how long the breaker stays open.
func (b *breaker) turned(to circuitbreaker.State) {
	switch to {
	case circuitbreaker.OpenState:
		until := time.Now().Add(b.policy.period(int(b.opened.Add(1))))
		b.until.Store(&until)
	case circuitbreaker.ClosedState:
		b.opened.Store(0)
	}
}

// remaining is after how long the breaker lets calls try again.
func (b *breaker) remaining() time.Duration {
	if !b.circuit.IsOpen() {
		return 0
	}
	left := b.circuit.RemainingDelay()
	if until := b.until.Load(); until != nil {
		left = max(left, time.Until(*until))
	}
	return left
}

// allow reports whether a call may be sent; each that is must be recorded.
func (b *breaker) allow() bool { return b.remaining() <= 0 && b.circuit.TryAcquirePermit() }

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
