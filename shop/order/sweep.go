package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/rpc"
)

// batch is how many orders are looked at before a pause.
const batch = 100

// sweep rejects orders that nobody else will: their checkout has failed, but it
// had not begun, so there was no step to be undone that would have rejected them.
// An operator can do that.
type sweep struct {
	process     *process
	coordinator txnv1.CoordinatorServiceClient
	settings    *settings
	log         *slog.Logger
}

// run looks for such orders until its context ends.
func (s *sweep) run(ctx context.Context) error {
	for after := ""; ; {
		var err error
		if after, err = s.look(ctx, after); err != nil {
			return err
		}
		timer := time.NewTimer(s.settings.sweepPeriod.Get())
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

// look looks at the next orders after one, and returns the last of them, or "" if
// there are no more. One that can't be rejected doesn't stop the others.
func (s *sweep) look(ctx context.Context, after string) (last string, err error) {
	ids, err := s.process.orders.placed(ctx, after, s.process.now().Add(-s.settings.sweepAfter.Get()), batch)
	if err != nil {
		return "", fmt.Errorf("look for orders that are left over: %w", err)
	}
	var errs []error
	for _, id := range ids {
		checkout, err := s.coordinator.Get(ctx, &txnv1.GetRequest{Gid: checkoutID(id)})
		switch {
		case err != nil && errors.Is(rpc.FromError(err), rpc.Reason(txnv1.Reason_TRANSACTION_NOT_FOUND)):
			continue // what became of it nobody knows any more
		case err != nil:
			return "", fmt.Errorf("ask for the checkout of order %s: %w", id, err)
		case checkout.GetState() != txnv1.State_STATE_FAILED:
			continue
		}
		s.log.WarnContext(ctx, "order rejected: its checkout failed before it began", "order_id", id, "because", checkout.GetReason())
		errs = append(errs, s.process.reject(ctx, id, unarranged))
	}
	if len(ids) == batch {
		last = ids[batch-1]
	}
	return last, errors.Join(errs...)
}
