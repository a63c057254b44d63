package config

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

const (
	defineSettle  = 50 * time.Millisecond // settings are watched in bursts, at start
	defineTimeout = 5 * time.Second
)

// publishDefinitions keeps this service's definitions in the centre up to date.
// A conflict with what is there is a mistake that a person must correct; anything
// else is tried again.
func (f *follower) publishDefinitions(ctx context.Context) {
	s := f.settings
	centre, err := NewCentre(f.driver, s.options.Environment)
	if err != nil {
		return // New has checked the environment's name
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.publish:
		}
		if !pause(ctx, defineSettle) {
			return
		}
		attempt, cancel := context.WithTimeout(ctx, defineTimeout)
		// What another instance watches and this one doesn't yet must stay.
		err := centre.define(attempt, s.options.Service, s.Definitions(), false)
		cancel()
		s.disagreed(err)
		f.offered.Do(func() { close(f.published) })
		if conflict := (*definitionConflict)(nil); err != nil && !errors.As(err, &conflict) {
			if !pause(ctx, lastRetry) {
				return
			}
			f.wake()
		}
	}
}

// pause waits and tells whether the context is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// jitter keeps many processes from trying again at the same moment.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }
