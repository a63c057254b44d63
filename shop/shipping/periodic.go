package main

import (
	"context"
	"errors"
	"time"

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
	ids, err := s.shipments.due(ctx, now, batch)
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, id := range ids {
		err := s.shipments.advance(ctx, id, now, s.settings.pace.Get(), s.carrier)
		errs = append(errs, err)
		if errors.Is(err, store.ErrUnavailable) {
			break
		}
	}
	return len(ids), errors.Join(errs...)
}
