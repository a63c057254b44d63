package archive

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/gowarren/warren/internal/signals/segment"
)

// keepEvery is how often old files are looked for, and connections closed that
// nobody uses.
const (
	keepEvery = 10 * time.Second
	idleAfter = 30 * time.Second
)

// Shares of the budget: from the first on the oldest files are thinned, as
// long as those that are thinned take less than the second.
const (
	thinFrom = 0.7
	thinMost = 0.4
)

func (a *Archive) lookAtBudget() {
	select {
	case a.retain <- struct{}{}:
	default:
	}
}

// keeping drops what is old or too much until the archive is closed.
func (a *Archive) keeping(ctx context.Context) {
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-a.retain:
		case <-ctx.Done():
			return
		}
		a.expire()
		a.thin(ctx)
		a.makeRoom(a.opts.Limits().Bytes)
		for _, s := range a.snapshot() {
			if err := s.Idle(time.Now().Add(-idleAfter).UnixNano()); err != nil {
				a.opts.Logger.Warn("closing a file of traces and logs", "file", s.Path(), "error", err)
			}
		}
	}
}

// expire removes what is older than the retention.
func (a *Archive) expire() {
	oldest := a.now().Add(-a.opts.Limits().Retention - time.Hour).UnixNano() // a file holds an hour
	a.remove(func(s *segment.Segment, _ int64) bool { return s.Info().Created < oldest })
}

// makeRoom removes the oldest files until the rest fits.
func (a *Archive) makeRoom(most int64) {
	a.remove(func(_ *segment.Segment, total int64) bool { return total > most })
}

// remove drops the oldest segment for as long as it should go; the current
// one stays.
func (a *Archive) remove(goes func(oldest *segment.Segment, total int64) bool) {
	for {
		total := a.bytes()
		a.mu.Lock()
		if len(a.segments) == 0 || a.segments[0] == a.current || !goes(a.segments[0], total) {
			a.mu.Unlock()
			return
		}
		oldest := a.segments[0]
		a.segments = a.segments[1:]
		a.mu.Unlock()
		info := oldest.Info()
		if err := oldest.Remove(); err != nil {
			a.opts.Logger.Warn("removing a file of traces and logs", "file", oldest.Path(), "error", err)
		}
		a.drop("expired", info.Spans, info.Lines)
	}
}

func (a *Archive) bytes() (n int64) {
	for _, s := range a.snapshot() {
		n += s.Bytes()
	}
	return n
}

// thin rewrites the oldest files that are whole, while room is short.
func (a *Archive) thin(ctx context.Context) {
	for ctx.Err() == nil {
		s := a.thinNext()
		if s == nil {
			return
		}
		limits := a.opts.Limits()
		one := int64(0)
		if limits.Sample > 0 {
			one = int64(math.Ceil(1 / limits.Sample))
		}
		dropped, err := s.Thin(segment.Keep{Slow: int64(limits.Slow), One: one})
		switch {
		case errors.Is(err, segment.ErrBroken):
			a.abandon(s, err)
		case err != nil: // it was removed meanwhile, or the disk is full
			a.opts.Logger.Warn("thinning a file of traces and logs", "file", s.Path(), "error", err)
			return
		}
		a.drop("thinned", dropped.Spans, dropped.Lines)
	}
}

// thinNext is the oldest file that is whole, if one should be thinned.
func (a *Archive) thinNext() *segment.Segment {
	budget := float64(a.opts.Limits().Bytes)
	var total, thinned float64
	var next *segment.Segment
	a.mu.RLock()
	current := a.current
	a.mu.RUnlock()
	for _, s := range a.snapshot() {
		n := float64(s.Bytes())
		total += n
		switch {
		case s.Info().Thinned:
			thinned += n
		case next == nil && s != current:
			next = s
		}
	}
	if total <= thinFrom*budget || thinned >= thinMost*budget {
		return nil
	}
	return next
}
