package lock

import (
	"context"
	"errors"
	"sync"
	"time"
)

// renewals is how often a lease is renewed before it would end.
const renewals = 3

// Held is a lock that this process has, as far as it knows. It is safe for
// concurrent use.
type Held struct {
	locks       *Locks
	name, owner string
	token       int64

	ctx    context.Context
	cancel context.CancelCauseFunc
	once   sync.Once
	done   chan struct{} // closed when nothing renews any more
}

// hold begins to renew a lease that was asked for at a time: it runs at least
// from then on, so that is when our own clock starts.
func (l *Locks) hold(name, owner string, token int64, asked time.Time) *Held {
	h := &Held{locks: l, name: name, owner: owner, token: token, done: make(chan struct{})}
	h.ctx, h.cancel = context.WithCancelCause(context.Background())
	l.metrics.held.Inc()
	go h.renew(asked)
	return h
}

// Name returns the lock's name.
func (h *Held) Name() string { return h.name }

// Token is the fencing token: greater than that of every holder before.
func (h *Held) Token() int64 { return h.token }

// Context ends when the lock is, or may be, lost, or is released; its cause is
// ErrLost or ErrReleased. It is not the child of the context that took the
// lock: use [Held.With] to join it with that of a request.
func (h *Held) Context() context.Context { return h.ctx }

// With returns a context that ends with ctx, and when the lock is lost. Call
// the function that it returns to free its resources.
func (h *Held) With(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(h.ctx, func() { cancel(context.Cause(h.ctx)) })
	return ctx, func() {
		stop()
		cancel(context.Canceled)
	}
}

// Release gives the lock back. An error says that the engine could not be
// told: then the lease ends by itself, within the TTL. Of a lock that was lost
// only what the engine may still have of it is given back, if it answers at once.
// The context has ended when Release returns.
func (h *Held) Release(ctx context.Context) error {
	var err error
	h.once.Do(func() {
		h.cancel(ErrReleased)
		<-h.done
		if errors.Is(context.Cause(h.ctx), ErrLost) {
			h.locks.forget(h.name, h.owner)
			return
		}
		if err = h.locks.driver.Release(ctx, h.name, h.owner, h.token); err != nil {
			h.locks.opts.Logger.WarnContext(ctx, "a lock was not given back; it ends by itself", "lock", h.name, "error", err)
		}
	})
	return err
}

// renew keeps the lease until the lock is released or may be lost. The lease
// is counted from before each request was sent, and ended a little early: our
// clock may be slower than the engine's.
func (h *Held) renew(asked time.Time) {
	defer close(h.done)
	defer h.locks.metrics.held.Dec()
	ttl := h.locks.opts.TTL
	safe := ttl - ttl/20
	pause := ttl / renewals
	for {
		end := asked.Add(safe)
		timer := time.NewTimer(min(pause, time.Until(end)))
		select {
		case <-h.ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if time.Until(end) <= 0 {
			h.lose(errors.New("the lease could not be renewed in time"))
			return
		}
		next := time.Now()
		err := h.ask(end)
		switch {
		case err == nil:
			asked, pause = next, ttl/renewals
		case errors.Is(err, ErrLost):
			h.lose(err)
			return
		default:
			pause = ttl / (4 * renewals) // there is little time left
		}
	}
}

// ask renews once, for no longer than there is time.
func (h *Held) ask(end time.Time) error {
	ctx, cancel := context.WithDeadline(h.ctx, end)
	defer cancel()
	return h.locks.driver.Renew(ctx, h.name, h.owner, h.token, h.locks.opts.TTL)
}

func (h *Held) lose(why error) {
	if h.ctx.Err() != nil {
		return // given back meanwhile
	}
	h.cancel(ErrLost)
	h.locks.metrics.lost.Inc()
	h.locks.opts.Logger.Warn("a lock is lost", "lock", h.name, "token", h.token, "because", why)
}
