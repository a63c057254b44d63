package main

import (
	"context"
	"time"

	"github.com/gowarren/warren/config"
)

// batch is how much is done before what else there is to do is looked for again.
const batch = 100

// every does f at once and then once per period, until its context ends or f
// goes wrong. While f says that there is more, it doesn't pause.
func every(ctx context.Context, period *config.Value[time.Duration], f func(context.Context) (more bool, err error)) error {
	for {
		more, err := f(ctx)
		if err != nil {
			return err
		}
		if more {
			continue // the end of the context shows in the next query
		}
		timer := time.NewTimer(period.Get())
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

// expire ends reservations that nobody has confirmed in time.
func (s *service) expire(ctx context.Context) (more bool, err error) {
	n, err := s.stocks.expire(ctx, s.now(), batch)
	s.meter.reservations.WithLabelValues("expired").Add(float64(n))
	if n > 0 {
		s.log.InfoContext(ctx, "reservations expired", "count", n)
	}
	return n == batch, err
}

// tell publishes how much there is of what has changed.
func (s *service) tell(ctx context.Context) (more bool, err error) {
	n, err := s.stocks.tell(ctx, batch)
	return n == batch, err
}

// watchOversold looks whether more was promised than there is.
func (s *service) watchOversold(ctx context.Context) (more bool, err error) {
	n, err := s.stocks.oversold(ctx)
	if err != nil {
		return false, err
	}
	s.meter.oversold.Set(float64(n))
	if n > 0 {
		s.log.ErrorContext(ctx, "more is promised than there is", "products", n)
	}
	return false, nil
}
