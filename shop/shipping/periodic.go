package main

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/gowarren/warren/store"
)

// batch is how many shipments move before those that are due are looked for
// again.
const batch = 100

// drive is the carrier at work: it moves shipments until its context ends. How
// far each has come stands in the database, so another instance goes on where
// this one stopped.
func (s *service) drive(ctx context.Context) error {
	for {
		n, err := s.driveOnce(ctx)
		if err != nil {
			return err
		}
		if n == batch {
			continue
		}
		timer := time.NewTimer(s.settings.poll.Get())
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

// driveOnce moves what is due and returns how many shipments that were. One that
// can't be moved doesn't stop the others.
func (s *service) driveOnce(ctx context.Context) (int, error) {
	if s.settings.down.Get() {
		return 0, nil
	}
	now := s.now()
	all, err := s.shipments.due(ctx, now, batch)
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, e := range all {
		err := s.carry(ctx, e, now)
		errs = append(errs, err)
		if errors.Is(err, store.ErrUnavailable) {
			break
		}
	}
	return len(all), errors.Join(errs...)
}

// carry takes the next step of a shipment. It belongs to the trace of whoever had
// it dispatched, and so does all that comes of it.
func (s *service) carry(ctx context.Context, e errand, now time.Time) error {
	ctx, span := s.tracer.Start(s.tracer.Resume(ctx, e.trace), "carry shipment", trace.SpanKindInternal)
	defer span.End()
	about(ctx, e.id)
	err := s.shipments.advance(ctx, e.id, now, s.settings.pace.Get(), s.carrier)
	span.SetError(err)
	return err
}
