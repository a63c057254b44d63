// Package lock lets one process at a time do something, among all processes of
// a system.
//
// A lock is a lease: who holds it must go on proving that it lives. Whatever
// stops it from doing so (a pause, a network, a crash) ends its lock, and
// somebody else gets it. So a holder can never be sure that it still holds the
// lock while it acts, and two things protect what the lock guards:
//
//   - [Held.Context] ends when the lock is lost or may be lost, by the holder's
//     own clock, before anybody else can have it. Do everything under it.
//   - [Held.Token] grows with every holder. Hand it to what the lock guards, and
//     let that refuse a token smaller than one it has seen, as [Guard] does for
//     what is in a database: then a holder that woke up too late can do no harm. It is a fencing token, after Kleppmann,
//     "How to do distributed locking" (2016).
package lock

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gowarren/warren/lock/driver"
)

// ErrHeld says that somebody else has the lock.
var ErrHeld = driver.ErrHeld

// ErrLost says why a held lock's context ended: the lock is, or may be,
// somebody else's.
var ErrLost = driver.ErrLost

// ErrReleased says why a held lock's context ended: the holder gave it back.
var ErrReleased = errors.New("lock is released")

// Options tune locks. The zero value is right for most.
type Options struct {
	// TTL is how long a lock outlives a holder that has gone silent. A holder
	// that loses the engine works on for less than that. Default: 10 s; at
	// least 1 s.
	TTL time.Duration
	// Logger is told of locks that are lost. Nil: slog.Default.
	Logger *slog.Logger
	// Metrics gets warren_lock_…; nil: none.
	Metrics prometheus.Registerer
}

// Locks gives out the locks of one system. It is safe for concurrent use. The
// zero value gives out none.
type Locks struct {
	driver  driver.Driver
	opts    Options
	owner   string
	metrics *metrics
}

const (
	defaultTTL = 10 * time.Second
	leastTTL   = time.Second
)

// New returns the locks that the driver keeps. The caller closes the driver,
// after everything is released.
func New(d driver.Driver, opts Options) (*Locks, error) {
	opts.TTL = cmp.Or(opts.TTL, defaultTTL)
	if opts.TTL < leastTTL {
		return nil, fmt.Errorf("new locks: a TTL of %s is less than the smallest, %s", opts.TTL, leastTTL)
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	m, err := newMetrics(opts.Metrics)
	if err != nil {
		return nil, fmt.Errorf("new locks: %w", err)
	}
	return &Locks{driver: d, opts: opts, owner: rand.Text(), metrics: m}, nil
}

// Try takes the lock if it is free, and returns ErrHeld if it is not.
func (l *Locks) Try(ctx context.Context, name string) (*Held, error) {
	if name == "" {
		return nil, errors.New("take lock: it has no name")
	}
	if l.driver == nil {
		return nil, fmt.Errorf("take lock %s: nobody keeps locks", name)
	}
	owner := l.owner + "-" + rand.Text() // two holders in one process are two
	asked := time.Now()
	ctx, cancel := context.WithTimeout(ctx, l.opts.TTL)
	defer cancel()
	token, err := l.driver.Acquire(ctx, name, owner, l.opts.TTL)
	switch {
	case errors.Is(err, ErrHeld):
		return nil, fmt.Errorf("take lock %s: %w", name, ErrHeld)
	case err != nil:
		l.forget(name, owner)
		return nil, fmt.Errorf("take lock %s: %w", name, err)
	}
	l.metrics.taken.Inc()
	return l.hold(name, owner, token, asked), nil
}

// forget gives back what the engine may have of a lock that nobody holds: its
// answer got lost, or it was away for too long. If that does not work either, the
// lease ends by itself.
func (l *Locks) forget(name, owner string) {
	const patience = time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_ = l.driver.Release(ctx, name, owner, 0)
}

// Take waits until it has the lock, or ctx ends. Who waits longest does not
// come first: a lock is no queue.
func (l *Locks) Take(ctx context.Context, name string) (*Held, error) {
	began := time.Now()
	for {
		held, err := l.Try(ctx, name)
		if err == nil {
			l.metrics.waited.Observe(time.Since(began).Seconds())
			return held, nil
		}
		if !errors.Is(err, ErrHeld) && ctx.Err() != nil {
			return nil, fmt.Errorf("wait for lock %s: %w", name, context.Cause(ctx))
		}
		if !errors.Is(err, ErrHeld) {
			return nil, err
		}
		if err := l.driver.Wait(ctx, name); err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return nil, fmt.Errorf("wait for lock %s: %w", name, err)
		}
	}
}
