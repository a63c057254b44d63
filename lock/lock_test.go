package lock_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gowarren/warren/lock"
)

func open(t *testing.T, m *memory, opts lock.Options) *lock.Locks {
	t.Helper()
	opts.Logger = slog.New(slog.DiscardHandler)
	l, err := lock.New(m, opts)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func try(t *testing.T, l *lock.Locks, name string) *lock.Held {
	t.Helper()
	held, err := l.Try(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return held
}

func TestLockIsHeldForAsLongAsItIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := try(t, open(t, newMemory(), lock.Options{}), "x")
		time.Sleep(24 * time.Hour)
		if err := held.Context().Err(); err != nil {
			t.Errorf("after a day: %v", context.Cause(held.Context()))
		}
		if err := held.Release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestHolderEndsBeforeItsLease: whenever the engine goes away, the holder's
// context ends before anybody else can have the lock.
func TestHolderEndsBeforeItsLease(t *testing.T) {
	for _, after := range []time.Duration{0, time.Second, 3 * time.Second, 4 * time.Second, 9999 * time.Millisecond, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemory()
			held := try(t, open(t, m, lock.Options{TTL: 10 * time.Second}), "x")
			time.Sleep(after)
			m.setAway(errAway)
			<-held.Context().Done()
			m.mu.Lock()
			left := time.Until(m.held["x"].until)
			m.mu.Unlock()
			if left <= 0 {
				t.Errorf("engine away after %s: the holder learned of it %s after its lease", after, -left)
			}
			if !errors.Is(context.Cause(held.Context()), lock.ErrLost) {
				t.Errorf("cause: %v", context.Cause(held.Context()))
			}
		})
	}
}

func TestShortOutageCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		held := try(t, open(t, m, lock.Options{TTL: 10 * time.Second}), "x")
		for range 20 {
			m.setAway(errAway)
			time.Sleep(5 * time.Second)
			m.setAway(nil)
			time.Sleep(5 * time.Second)
		}
		if held.Context().Err() != nil {
			t.Errorf("outages of half the lease: %v", context.Cause(held.Context()))
		}
		if err := held.Release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestStolenLockIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		metrics := prometheus.NewRegistry()
		held := try(t, open(t, m, lock.Options{TTL: 9 * time.Second, Metrics: metrics}), "x")
		began := time.Now()
		m.steal()
		<-held.Context().Done()
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("noticed after %s, want at the next renewal", took)
		}
		synctest.Wait()
		want := `
# HELP warren_lock_held Locks that this process holds.
# TYPE warren_lock_held gauge
warren_lock_held 0
# HELP warren_lock_lost_total Locks lost before they were released.
# TYPE warren_lock_lost_total counter
warren_lock_lost_total 1
`
		if err := testutil.GatherAndCompare(metrics, strings.NewReader(want), "warren_lock_held", "warren_lock_lost_total"); err != nil {
			t.Error(err)
		}
	})
}

// TestLostLockIsGivenBack: the engine was away for so long that the holder gave up,
// and is back before the lease is over: nobody has to wait for that.
func TestLostLockIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		l := open(t, m, lock.Options{TTL: 10 * time.Second})
		held := try(t, l, "x")
		m.setAway(errAway)
		<-held.Context().Done()
		m.setAway(nil)
		if _, err := l.Try(t.Context(), "x"); !errors.Is(err, lock.ErrHeld) {
			t.Fatalf("the lease is over already: %v", err)
		}
		if err := held.Release(t.Context()); err != nil {
			t.Error(err)
		}
		next := try(t, l, "x")
		if next.Token() <= held.Token() {
			t.Errorf("token %d after %d", next.Token(), held.Token())
		}
		if err := next.Release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestWithJoinsTheRequestAndTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		l := open(t, m, lock.Options{TTL: 3 * time.Second})
		held := try(t, l, "x")
		ctx, cancel := held.With(t.Context())
		defer cancel()
		m.steal()
		<-ctx.Done()
		if !errors.Is(context.Cause(ctx), lock.ErrLost) {
			t.Errorf("cause: %v, want ErrLost", context.Cause(ctx))
		}
		second := try(t, l, "y")
		request, end := context.WithCancel(t.Context())
		ctx, cancel = second.With(request)
		defer cancel()
		end()
		<-ctx.Done()
		if second.Context().Err() != nil {
			t.Error("the end of a request ended the lock")
		}
		if err := second.Release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestReleaseTwiceAndWithoutTheEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		held := try(t, open(t, m, lock.Options{}), "x")
		m.setAway(errAway)
		if err := held.Release(t.Context()); !errors.Is(err, errAway) {
			t.Errorf("release without the engine: %v", err)
		}
		if err := held.Release(t.Context()); err != nil {
			t.Errorf("second release: %v", err)
		}
	})
}

func TestLeadEndsWithItsWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		l := open(t, m, lock.Options{})
		runs := 0
		err := l.Lead(t.Context(), "x", func(context.Context, int64) error {
			if runs++; runs < 3 {
				return errors.New("not yet")
			}
			return nil
		})
		if err != nil || runs != 3 {
			t.Errorf("%d runs, %v", runs, err)
		}
		if len(m.held) != 0 {
			t.Error("the lead is still held")
		}
	})
}

func TestLeaderThatLosesTheLeadBeginsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		l := open(t, m, lock.Options{TTL: 3 * time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		var terms []int64
		err := l.Lead(ctx, "x", func(ctx context.Context, term int64) error {
			terms = append(terms, term)
			if len(terms) == 3 {
				cancel()
				return ctx.Err()
			}
			m.steal()
			<-ctx.Done()
			return nil // it stopped as it was told: that is not the end of the work
		})
		if !errors.Is(err, context.Canceled) || len(terms) != 3 || terms[2] <= terms[0] {
			t.Errorf("terms %v, %v", terms, err)
		}
	})
}

func TestTTLTooShort(t *testing.T) {
	if _, err := lock.New(newMemory(), lock.Options{TTL: time.Millisecond}); err == nil {
		t.Error("a TTL of 1 ms was taken")
	}
}
