// Package locktest is what a driver of locks must pass: mutual exclusion and
// growing tokens in calm, and the same when holders die, pause and lose their
// engine.
package locktest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gowarren/warren/lock"
	"github.com/gowarren/warren/lock/driver"
)

// Harness is an engine under test.
type Harness struct {
	// Open returns a driver of its own, as another process would have it.
	Open func(t testing.TB) driver.Driver
	// Stop makes the engine unreachable, Start makes it reachable again with
	// the data that it had.
	Stop, Start func(t testing.TB)
}

// ttl is short, so that the suite is; patience is long, so that a busy machine
// passes.
const (
	ttl      = 2 * time.Second
	patience = 30 * time.Second
)

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	for name, part := range map[string]func(*testing.T, Harness){
		"OneHolder":       oneHolder,
		"TokensGrow":      tokensGrow,
		"Wait":            wait,
		"WaitEnds":        waitEnds,
		"DeadHolder":      deadHolder,
		"PausedHolder":    pausedHolder,
		"LateRelease":     lateRelease,
		"EngineAway":      engineAway,
		"EngineAwayShort": engineAwayShort,
		"Names":           names,
		"Lead":            lead,
	} {
		t.Run(name, func(t *testing.T) { part(t, h) })
	}
}

func open(t *testing.T, h Harness) *lock.Locks {
	t.Helper()
	d := h.Open(t)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	l, err := lock.New(d, lock.Options{TTL: ttl, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func take(t *testing.T, l *lock.Locks, name string) *lock.Held {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	held, err := l.Take(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = held.Release(context.Background()) })
	return held
}

func release(t *testing.T, held *lock.Held) {
	t.Helper()
	if err := held.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if cause := context.Cause(held.Context()); !errors.Is(cause, lock.ErrReleased) {
		t.Errorf("after the release the context ended because of %v", cause)
	}
}

// oneHolder: many processes increment a number that only the lock guards.
func oneHolder(t *testing.T, h Harness) {
	const processes, rounds = 4, 10
	var inside atomic.Int32
	var done sync.WaitGroup
	counter := 0
	for range processes {
		l := open(t, h)
		done.Go(func() {
			for range rounds {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				held, err := l.Take(ctx, "counter")
				cancel()
				if err != nil {
					t.Error(err)
					return
				}
				if n := inside.Add(1); n != 1 {
					t.Errorf("%d holders at once", n)
				}
				counter++ // the race detector watches
				inside.Add(-1)
				if err := held.Release(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done.Wait()
	if counter != processes*rounds {
		t.Errorf("counted %d, want %d", counter, processes*rounds)
	}
	if held := take(t, open(t, h), "counter"); held.Context().Err() != nil {
		t.Error("a lock that is held has ended")
	}
}

func tokensGrow(t *testing.T, h Harness) {
	a, b := open(t, h), open(t, h)
	last := int64(0)
	for i := range 6 {
		l := a
		if i%2 == 1 {
			l = b
		}
		held := take(t, l, "grow")
		if held.Token() <= last {
			t.Fatalf("token %d after %d", held.Token(), last)
		}
		last = held.Token()
		release(t, held)
	}
}

func wait(t *testing.T, h Harness) {
	a, b := open(t, h), open(t, h)
	first := take(t, a, "wait")
	if _, err := b.Try(t.Context(), "wait"); !errors.Is(err, lock.ErrHeld) {
		t.Fatalf("a held lock: got %v, want ErrHeld", err)
	}
	got := make(chan *lock.Held)
	go func() {
		held, err := b.Take(t.Context(), "wait")
		if err != nil {
			t.Error(err)
		}
		got <- held
	}()
	release(t, first)
	select {
	case second := <-got:
		if second.Token() <= first.Token() {
			t.Errorf("token %d after %d", second.Token(), first.Token())
		}
		release(t, second)
	case <-time.After(patience):
		t.Fatal("who waited did not get the lock")
	}
}

func waitEnds(t *testing.T, h Harness) {
	a, b := open(t, h), open(t, h)
	take(t, a, "ends")
	why := errors.New("no more patience")
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error)
	go func() {
		_, err := b.Take(ctx, "ends")
		ended <- err
	}()
	cancel(why)
	if err := <-ended; !errors.Is(err, why) {
		t.Errorf("got %v, want the cause of the context", err)
	}
}

// deadHolder: a holder that stops renewing, as a killed process does, loses
// the lock to another.
func deadHolder(t *testing.T, h Harness) {
	dead := h.Open(t)
	t.Cleanup(func() { dead.Close() })
	token, err := dead.Acquire(t.Context(), "dead", "somebody", ttl)
	if err != nil {
		t.Fatal(err)
	}
	heir := take(t, open(t, h), "dead")
	if heir.Token() <= token {
		t.Errorf("token %d after %d", heir.Token(), token)
	}
	release(t, heir)
}

// pausedHolder: a holder that slept through its lease is told so when it
// wakes up, and cannot renew what is another's.
func pausedHolder(t *testing.T, h Harness) {
	paused := h.Open(t)
	t.Cleanup(func() { paused.Close() })
	token, err := paused.Acquire(t.Context(), "paused", "sleeper", ttl)
	if err != nil {
		t.Fatal(err)
	}
	heir := take(t, open(t, h), "paused")
	if err := paused.Renew(t.Context(), "paused", "sleeper", token, ttl); !errors.Is(err, lock.ErrLost) {
		t.Errorf("renewed a lock that is another's: %v", err)
	}
	if heir.Context().Err() != nil {
		t.Error("the heir lost the lock by it")
	}
	release(t, heir)
}

// lateRelease: giving back what was lost does not take it from the heir.
func lateRelease(t *testing.T, h Harness) {
	late := h.Open(t)
	t.Cleanup(func() { late.Close() })
	token, err := late.Acquire(t.Context(), "late", "late", ttl)
	if err != nil {
		t.Fatal(err)
	}
	heir := take(t, open(t, h), "late")
	if err := late.Release(t.Context(), "late", "late", token); err != nil {
		t.Errorf("release what is lost: %v", err)
	}
	if _, err := open(t, h).Try(t.Context(), "late"); !errors.Is(err, lock.ErrHeld) {
		t.Errorf("after the late release: %v, want ErrHeld", err)
	}
	release(t, heir)
}

// engineAway: a holder that cannot renew knows that it may have lost the lock
// before the lease is over.
func engineAway(t *testing.T, h Harness) {
	held := take(t, open(t, h), "away")
	h.Stop(t)
	defer h.Start(t)
	select {
	case <-held.Context().Done():
	case <-time.After(patience):
		t.Fatal("the holder goes on without its engine")
	}
	if cause := context.Cause(held.Context()); !errors.Is(cause, lock.ErrLost) {
		t.Errorf("the context ended because of %v, want ErrLost", cause)
	}
	if err := held.Release(t.Context()); err != nil {
		t.Errorf("release what is lost: %v", err)
	}
}

// engineAwayShort: an engine that is back within the lease costs nobody a lock,
// and afterwards locks can be taken again.
func engineAwayShort(t *testing.T, h Harness) {
	l := open(t, h)
	held := take(t, l, "short")
	h.Stop(t)
	h.Start(t)
	other := take(t, l, "short-other")
	release(t, other)
	if held.Context().Err() == nil {
		release(t, held)
	}
	release(t, take(t, l, "short"))
}

func names(t *testing.T, h Harness) {
	l := open(t, h)
	var all []*lock.Held
	for _, name := range []string{"a", "a/b", "a b", "ä", "{x}", "a:token", fmt.Sprintf("%0200d", 1)} {
		all = append(all, take(t, l, name))
	}
	for _, held := range all {
		if _, err := l.Try(t.Context(), held.Name()); !errors.Is(err, lock.ErrHeld) {
			t.Errorf("lock %q: %v, want ErrHeld", held.Name(), err)
		}
		release(t, held)
	}
	if _, err := l.Try(t.Context(), ""); err == nil {
		t.Error("a lock without a name was taken")
	}
}

// lead: one leader at a time; the next begins when one goes; terms grow.
func lead(t *testing.T, h Harness) {
	const candidates = 3
	var leaders atomic.Int32
	var last atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	terms := make(chan int64, 100)
	var done sync.WaitGroup
	for range candidates {
		l := open(t, h)
		done.Go(func() {
			_ = l.Lead(ctx, "lead", func(ctx context.Context, term int64) error {
				if n := leaders.Add(1); n != 1 {
					t.Errorf("%d leaders at once", n)
				}
				defer leaders.Add(-1)
				if before := last.Swap(term); before >= term {
					t.Errorf("term %d after %d", term, before)
				}
				terms <- term
				return errors.New("not for long")
			})
		})
	}
	for range 4 {
		select {
		case <-terms:
		case <-time.After(patience):
			t.Fatal("nobody leads")
		}
	}
	stop()
	done.Wait()
}
