package admission_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/rpc/internal/admission"
)

// sheds counts refusals by priority.
type sheds struct {
	mu sync.Mutex
	n  map[contract.Priority]int
}

func (s *sheds) count(p contract.Priority) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n == nil {
		s.n = map[contract.Priority]int{}
	}
	s.n[p]++
}

func (s *sheds) of(p contract.Priority) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n[p]
}

func TestCallsBeyondTheLimitWaitAndThenAreRefusedByPriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shed sheds
		c := admission.New(admission.Limits{Min: 2, Max: 2, Initial: 2, Queue: 10, Wait: time.Second}, shed.count)
		var running []admission.Permit
		for range 2 {
			p, err := c.Admit(t.Context(), contract.PriorityNormal)
			if err != nil {
				t.Fatal(err)
			}
			running = append(running, p)
		}
		var high atomic.Int32 // how many were admitted
		var wg sync.WaitGroup
		offer := func(n int, p contract.Priority) {
			for range n {
				wg.Go(func() {
					permit, err := c.Admit(t.Context(), p)
					if err == nil {
						if p == contract.PriorityHigh {
							high.Add(1)
						}
						permit.Done(true)
					} else if !errors.Is(err, admission.ErrOverloaded) {
						t.Error(err)
					}
				})
				synctest.Wait()
			}
		}
		offer(20, contract.PriorityLow)    // 5 of 10 places are open to them
		offer(20, contract.PriorityNormal) // 8 are
		offer(20, contract.PriorityHigh)
		if n := c.Queued(); n != 10 {
			t.Errorf("%d wait", n)
		}
		if shed.of(contract.PriorityLow) != 15 || shed.of(contract.PriorityNormal) != 17 || shed.of(contract.PriorityHigh) != 18 {
			t.Errorf("shed low %d, normal %d, high %d", shed.of(contract.PriorityLow), shed.of(contract.PriorityNormal), shed.of(contract.PriorityHigh))
		}
		// Critical calls are let in whatever there is.
		if _, err := c.Admit(t.Context(), contract.PriorityCritical); err != nil {
			t.Errorf("critical: %v", err)
		}
		// With the time of the others over, the high ones still wait.
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		if n := c.Queued(); n != 2 {
			t.Errorf("%d wait after the time of the others", n)
		}
		running[0].Done(true)
		wg.Wait()
		if high.Load() != 2 {
			t.Error("the high ones were not served")
		}
	})
}

func TestNumbersChangeLive(t *testing.T) {
	c := admission.New(admission.Limits{Min: 1, Max: 1, Initial: 1, Queue: 0}, func(contract.Priority) {})
	first, err := c.Admit(t.Context(), contract.PriorityNormal)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Admit(t.Context(), contract.PriorityNormal); !errors.Is(err, admission.ErrOverloaded) {
		t.Errorf("beyond the limit: %v", err)
	}
	c.Set(admission.Limits{Min: 1, Max: 3, Initial: 3, Queue: 0})
	if _, err := c.Admit(t.Context(), contract.PriorityNormal); err != nil || c.Limit() != 3 {
		t.Errorf("after the change: %v, limit %d", err, c.Limit())
	}
	first.Done(true) // with the limiter it came from
	// Numbers that contradict one another for a moment do no harm.
	c.Set(admission.Limits{Min: 50, Max: 3, Initial: 0, Queue: -1})
	if c.Limit() != 50 {
		t.Errorf("limit %d", c.Limit())
	}
}

func TestLimitFallsWhenCallsBecomeSlowAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := admission.New(admission.Limits{Min: 5, Max: 500, Initial: 100, Queue: 1000, Wait: time.Minute}, func(contract.Priority) {})
		// capacity 20: what runs beyond it makes everything slower
		load := func(rounds, clients int, base time.Duration) {
			var wg sync.WaitGroup
			for range clients {
				wg.Go(func() {
					for range rounds {
						p, err := c.Admit(context.Background(), contract.PriorityNormal)
						if err != nil {
							continue
						}
						time.Sleep(base)
						p.Done(true)
					}
				})
			}
			wg.Wait()
		}
		load(200, 10, 10*time.Millisecond)
		if n := c.Limit(); n < 100 {
			t.Errorf("low load lowered the limit to %d", n)
		}
		load(40, 150, 500*time.Millisecond)
		slow := c.Limit()
		if slow >= 100 {
			t.Errorf("slowness left the limit at %d", slow)
		}
		load(2000, 40, 10*time.Millisecond)
		if n := c.Limit(); n <= slow {
			t.Errorf("it did not recover: %d, was %d", n, slow)
		}
	})
}

func TestWhoGivesUpWaitingLeavesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := admission.New(admission.Limits{Min: 1, Max: 1, Initial: 1, Queue: 10, Wait: time.Minute}, func(contract.Priority) {})
		if _, err := c.Admit(t.Context(), contract.PriorityNormal); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Admit(ctx, contract.PriorityHigh); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if n := c.Queued(); n != 0 {
			t.Errorf("%d wait", n)
		}
	})
}

func BenchmarkAdmit(b *testing.B) {
	c := admission.New(admission.Limits{Min: 8, Max: 1000, Initial: 64, Queue: 256, Wait: time.Second}, func(contract.Priority) {})
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		p, err := c.Admit(ctx, contract.PriorityNormal)
		if err != nil {
			b.Fatal(err)
		}
		p.Done(true)
	}
}
