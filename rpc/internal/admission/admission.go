// Package admission decides whether an instance begins a call: it learns how
// many calls the instance can handle at once, lets a few more wait for their
// turn, and refuses the rest, the least important first.
package admission

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/adaptivelimiter"

	"github.com/gowarren/warren/internal/contract"
)

// ErrOverloaded says that a call was not begun.
var ErrOverloaded = errors.New("overloaded")

// Limits are the numbers that a Controller obeys.
type Limits struct {
	// Min, Max and Initial bound how many calls run at once: at the least, at
	// the most, and before anything was learned. Low load alone never lowers
	// the limit below Initial: only slowness does.
	Min, Max, Initial int
	// Queue is how many calls may wait for their turn.
	Queue int
	// Wait is how long a call of less than high priority waits at the most.
	Wait time.Duration
}

// normal puts numbers that contradict one another, as live changes of one
// after the other may do for a moment, into an order that works.
func (l Limits) normal() Limits {
	l.Min = max(1, l.Min)
	l.Max = max(l.Min, l.Max)
	l.Initial = min(max(l.Initial, l.Min), l.Max)
	return l
}

// Controller admits calls. It is safe for concurrent use.
type Controller struct {
	state atomic.Pointer[state]
	shed  func(contract.Priority)
}

// state is one limiter with the numbers it was built from. Calls end with the
// limiter that admitted them.
type state struct {
	limits  Limits
	limiter adaptivelimiter.AdaptiveLimiter[any]
}

// New returns a controller that tells shed of every call it refuses.
func New(limits Limits, shed func(contract.Priority)) *Controller {
	c := &Controller{shed: shed}
	c.state.Store(build(limits.normal(), limits.normal().Initial))
	return c
}

func build(l Limits, initial int) *state {
	limiter := adaptivelimiter.NewBuilder[any]().
		WithLimits(uint(l.Min), uint(l.Max), uint(min(max(initial, l.Min), l.Max))).
		// The median: methods of different length share the limiter, and a
		// higher quantile would take a change of their mixture for overload.
		WithRecentQuantile(0.5).
		// Headroom for bursts; without the floor an idle instance would
		// forget that it can handle them.
		WithMaxLimitFunc(func(inflight int) float64 { return float64(max(l.Initial, 5*inflight)) }).
		Build()
	return &state{limits: l, limiter: limiter}
}

// Set changes the numbers. What was learned stays, within the new bounds.
func (c *Controller) Set(limits Limits) {
	limits = limits.normal()
	old := c.state.Load()
	if old.limits == limits {
		return
	}
	initial := old.limiter.Limit()
	if old.limits.Initial != limits.Initial {
		initial = limits.Initial
	}
	c.state.Store(build(limits, initial))
}

// Limit returns how many calls may run at once at present.
func (c *Controller) Limit() int { return c.state.Load().limiter.Limit() }

// Queued returns how many calls wait for their turn.
func (c *Controller) Queued() int { return c.state.Load().limiter.Queued() }

// Permit is the right to run a call, to be given back by Done. The zero Permit
// is the right of a call that is never refused.
type Permit struct{ permit adaptivelimiter.Permit }

// Done gives the permit back. A call that is typical teaches the controller by
// how long it took; one that the caller gave up does not.
func (p Permit) Done(typical bool) {
	switch {
	case p.permit == nil:
	case typical:
		p.permit.Record()
	default:
		p.permit.Drop()
	}
}

// Admit returns the permit to run a call, ErrOverloaded if it is refused, or
// the context's error. Critical calls are always admitted and never counted.
func (c *Controller) Admit(ctx context.Context, priority contract.Priority) (Permit, error) {
	if priority == contract.PriorityCritical {
		return Permit{}, nil
	}
	s := c.state.Load()
	// Those who wait go first, or a stream of newcomers would starve them.
	if s.limiter.Queued() == 0 {
		if permit, ok := s.limiter.TryAcquirePermit(); ok {
			return Permit{permit}, nil
		}
	}
	permit, err := s.wait(ctx, priority)
	if errors.Is(err, ErrOverloaded) {
		c.shed(priority)
	}
	return Permit{permit}, err
}

// wait queues the call as far as its priority goes: low ones may fill half of
// the waiting room, normal ones four fifths, so that there is room for high
// ones when all others are refused. High ones also wait as long as their
// caller does.
func (s *state) wait(ctx context.Context, priority contract.Priority) (adaptivelimiter.Permit, error) {
	room := s.limits.Queue
	switch priority {
	case contract.PriorityLow:
		room /= 2
	case contract.PriorityNormal:
		room = room * 4 / 5
	}
	if s.limiter.Queued() >= room {
		return nil, ErrOverloaded
	}
	var permit adaptivelimiter.Permit
	var err error
	if priority == contract.PriorityHigh {
		permit, err = s.limiter.AcquirePermit(ctx)
	} else {
		permit, err = s.limiter.AcquirePermitWithMaxWait(ctx, s.limits.Wait)
	}
	if errors.Is(err, adaptivelimiter.ErrExceeded) {
		err = ErrOverloaded
	}
	return permit, err
}

// RetryAfter returns when a refused caller may try again: drawn at random, so
// that those who were refused together do not come back together.
func (c *Controller) RetryAfter() time.Duration {
	wait := max(c.state.Load().limits.Wait, 10*time.Millisecond)
	return wait/2 + rand.N(wait)
}
