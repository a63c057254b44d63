package lock

import (
	"context"
	"errors"
	"time"
)

// leadPause is the pause after work, or taking the lead, ended with an error:
// it doubles up to the longest.
const (
	leadPause        = 100 * time.Millisecond
	leadPauseLongest = 10 * time.Second
)

// Lead does work on one process of the system at a time: it waits for the lead,
// works, and when the lead is lost waits for it again, until ctx ends or work
// returns nil. The work's context ends when the lead is lost; the term is the
// fencing token of its lock. What work returns while it leads is logged, and
// somebody begins again after a pause.
func (l *Locks) Lead(ctx context.Context, name string, work func(ctx context.Context, term int64) error) error {
	pause := leadPause
	for ctx.Err() == nil {
		began := time.Now()
		done, err := l.leadOnce(ctx, name, work)
		if done {
			return nil
		}
		if time.Since(began) > leadPauseLongest {
			pause = leadPause
		}
		if err != nil && ctx.Err() == nil {
			l.opts.Logger.ErrorContext(ctx, "work of a leader ended; it begins again", "lead", name, "pause", pause, "error", err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		pause = min(2*pause, leadPauseLongest)
	}
	return context.Cause(ctx)
}

// leadOnce is one term. It is done when the work is.
func (l *Locks) leadOnce(ctx context.Context, name string, work func(ctx context.Context, term int64) error) (done bool, err error) {
	held, err := l.Take(ctx, name)
	if err != nil {
		return false, err
	}
	working, cancel := held.With(ctx)
	defer cancel()
	err = work(working, held.Token())
	lost := errors.Is(context.Cause(held.Context()), ErrLost)
	giving, stop := context.WithTimeout(context.WithoutCancel(ctx), l.opts.TTL)
	defer stop()
	if released := held.Release(giving); err == nil && !lost {
		return true, released
	}
	if lost {
		err = errors.Join(ErrLost, err)
	}
	return false, err
}
