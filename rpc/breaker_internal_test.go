package rpc

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
)

// A breaker is open for a short time at first, longer each time that trying again
// fails, and for a short time again after it was closed.
func TestBreakerIsOpenLongerEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := breakerPolicy{ratio: 0.5, calls: 2, window: time.Minute, open: 500 * time.Millisecond, most: 2 * time.Second, probes: 1}
		b := newBreaker(p, func(circuitbreaker.StateChangedEvent) {})
		fail := func(calls int) {
			t.Helper()
			for range calls {
				if !b.allow() {
					t.Fatal("no call is let through")
				}
				b.record(failed)
			}
		}
		stays := func(d time.Duration) {
			t.Helper()
			if left := b.remaining(); left != d {
				t.Fatalf("open for %v; want %v", left, d)
			}
			time.Sleep(d - time.Millisecond)
			if b.allow() {
				t.Fatalf("a call is let through before %v", d)
			}
			time.Sleep(time.Millisecond)
		}
		fail(2)
		for _, d := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 2 * time.Second} {
			stays(d)
			fail(1)
		}
		stays(2 * time.Second)
		if !b.allow() {
			t.Fatal("no call is let through")
		}
		b.record(succeeded)
		if !b.circuit.IsClosed() || b.remaining() != 0 {
			t.Fatalf("it is %v after a success", b.circuit.State())
		}
		fail(2)
		stays(500 * time.Millisecond)
	})
}

func TestBreakerPeriods(t *testing.T) {
	for want, p := range map[time.Duration]breakerPolicy{
		5 * time.Second: {open: time.Second, most: 5 * time.Second},
		time.Hour:       {open: time.Hour, most: 2 * time.Second}, // as it is set, never less
	} {
		if got := p.period(1000); got != want {
			t.Errorf("%v: at last %v", p, got)
		}
	}
}
