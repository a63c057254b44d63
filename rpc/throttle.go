package rpc

import (
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

const (
	throttleSlices = 20
	// throttlePad is how many refusals are never held against a contract: of
	// few calls, a few that fail are no overload.
	throttlePad = 10
)

// throttle keeps calls away from a contract that refuses more than it accepts,
// as in "Handling overload" of the book Site Reliability Engineering: refusing
// costs an overloaded server almost as much as answering. Calls count before
// they are sent, and until they are refused they count as accepted: a slow
// server is not an overloaded one.
type throttle struct {
	slices   [throttleSlices]throttleSlice
	computed atomic.Int64  // when the figures below were
	chance   atomic.Uint64 // float64 bits: of being refused
	total    atomic.Int64  // calls in the window
}

type throttleSlice struct {
	number  atomic.Int64 // which slice of time this is
	calls   atomic.Int64
	refused atomic.Int64
}

// allow counts a call and reports whether it may be sent.
func (t *throttle) allow(p *targetPolicy, now int64) bool {
	slice := t.slice(p, now)
	slice.calls.Add(1)
	computed := t.computed.Load()
	if now-computed > int64(20*time.Millisecond) && t.computed.CompareAndSwap(computed, now) {
		t.compute(p, now)
	}
	chance := math.Float64frombits(t.chance.Load())
	if chance <= 0 || rand.Float64() >= chance {
		return true
	}
	slice.refused.Add(1)
	return false
}

// refused counts a call that the server refused because of overload.
func (t *throttle) refused(p *targetPolicy, now int64) {
	t.slice(p, now).refused.Add(1)
}

// slice returns the current slice of the window, emptied if it was an old one.
func (t *throttle) slice(p *targetPolicy, now int64) *throttleSlice {
	number := now/sliceLength(p) + 1 // zero is a slice never used
	s := &t.slices[number%throttleSlices]
	if old := s.number.Load(); old != number && s.number.CompareAndSwap(old, number) {
		s.calls.Store(0)
		s.refused.Store(0)
	}
	return s
}

func sliceLength(p *targetPolicy) int64 { return max(1, int64(p.throttleWindow)/throttleSlices) }

func (t *throttle) compute(p *targetPolicy, now int64) {
	number := now/sliceLength(p) + 1
	var calls, refused int64
	for i := range t.slices {
		// One of the future is of a window that was shorter.
		if age := number - t.slices[i].number.Load(); age >= 0 && age < throttleSlices {
			calls += t.slices[i].calls.Load()
			refused += t.slices[i].refused.Load()
		}
	}
	accepted := float64(max(0, calls-refused)) + throttlePad
	chance := (float64(calls) - p.throttleK*accepted) / (float64(calls) + 1)
	t.chance.Store(math.Float64bits(max(0, chance)))
	t.total.Store(calls)
}

// current returns the chance that a call is refused.
func (t *throttle) current() float64 { return math.Float64frombits(t.chance.Load()) }
