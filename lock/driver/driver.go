// Package driver is what an engine must offer to keep locks. Users import
// package lock; only authors of drivers import this one, and run locktest on
// what they wrote.
package driver

import (
	"context"
	"errors"
	"time"
)

// ErrHeld says that somebody else has the lock.
var ErrHeld = errors.New("lock is held by another")

// ErrLost says that a lock is no longer the owner's: its lease was over, or
// somebody took it away.
var ErrLost = errors.New("lock is lost")

// Driver keeps the locks of one system. It tells the plain truth about its
// engine: package lock does the renewing, the waiting and the watching of
// time. Its methods may be called concurrently.
type Driver interface {
	// Acquire gives the lock to the owner for ttl, or returns ErrHeld. The
	// token is greater than that of everybody who had the lock before, for as
	// long as the engine keeps its data. An error other than ErrHeld leaves
	// open whether the owner has the lock: asking again as the same owner
	// answers that, with a new token.
	Acquire(ctx context.Context, name, owner string, ttl time.Duration) (token int64, err error)

	// Renew gives the owner another ttl from now on, or returns ErrLost.
	Renew(ctx context.Context, name, owner string, token int64, ttl time.Duration) error

	// Release frees the lock if the owner still has it; if not, that is no error.
	Release(ctx context.Context, name, owner string, token int64) error

	// Wait returns when the lock may have become free, at the latest after a
	// moment that the engine thinks fit. It may return for no reason.
	Wait(ctx context.Context, name string) error

	// Capabilities tells what this engine can do.
	Capabilities() Capabilities

	// Close releases what the driver holds, but no locks.
	Close() error
}

// Capabilities are what an engine guarantees.
type Capabilities struct {
	// Consensus: the lock survives the loss of a minority of the engine's
	// servers, and two owners never have it at once by the engine's clock.
	// Without it, a failover of the engine can give it away twice; then only
	// the fencing token protects what the lock guards.
	Consensus bool
}
