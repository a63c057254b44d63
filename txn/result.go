package txn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/rpc"
)

// The errors of a transaction that has no end yet. It has one by itself after
// the second; what it is, [Wait] tells.
var (
	// ErrParked: it was tried as often as allowed, or an operator stopped it, and
	// goes on when an operator lets it (see the command warren tx).
	ErrParked = errors.New("the transaction is parked")
	// ErrUnfinished: the context ended before the transaction.
	ErrUnfinished = errors.New("the transaction has not ended yet")
)

// Failure is the error of a transaction that did not take place, and of which
// nothing is left. It wraps what the step that failed answered, so that
// errors.Is tells the reason:
//
//	errors.Is(err, rpc.Reason(paymentv1.Reason_INSUFFICIENT_FUNDS))
type Failure struct {
	ID   string // of the transaction
	Step string // which failed; empty: none did, the time was up, say
	// Cause is what went wrong, as the step told it.
	Cause *rpc.Error
}

// Error names the step and what it answered.
func (f *Failure) Error() string {
	if f.Step == "" {
		return fmt.Sprintf("transaction %s was undone: %v", f.ID, f.Cause)
	}
	return fmt.Sprintf("transaction %s was undone: step %s: %v", f.ID, f.Step, f.Cause)
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Cause }

// Result is a transaction that took place.
type Result struct{ t *txnv1.Transaction }

// Read reads what a step answered. The message has the type of the answer.
func (r *Result) Read(step string, into proto.Message) error {
	for _, b := range r.t.GetBranches() {
		if b.GetName() != step {
			continue
		}
		m, _, err := findMethod(b.GetMethod())
		if err != nil {
			return fmt.Errorf("read the answer of step %s: %w", step, err)
		}
		if want, got := m.Desc.Output().FullName(), into.ProtoReflect().Descriptor().FullName(); want != got {
			return fmt.Errorf("read the answer of step %s: it is %s, not %s", step, want, got)
		}
		if b.GetState() != txnv1.BranchState_BRANCH_STATE_DONE {
			return fmt.Errorf("read the answer of step %s: it was skipped by an operator, and has none", step)
		}
		if err := proto.Unmarshal(b.GetResponse(), into); err != nil {
			return fmt.Errorf("read the answer of step %s: %w", step, err)
		}
		return nil
	}
	return fmt.Errorf("read the answer of step %s: the transaction %s has no such step", step, r.t.GetGid())
}

// Wait waits for the end of a transaction, given by its id in the whole system,
// as Run does.
func Wait(ctx context.Context, app grpc.ClientConnInterface, id string) (*Result, error) {
	return await(ctx, txnv1.NewCoordinatorServiceClient(app), &txnv1.Transaction{Gid: id})
}

// await waits for the end of a transaction that is known to have come as far as t.
func await(ctx context.Context, coordinator txnv1.CoordinatorServiceClient, t *txnv1.Transaction) (*Result, error) {
	gid := t.GetGid()
	for {
		switch {
		case t.GetState() == txnv1.State_STATE_SUCCEEDED:
			return &Result{t}, nil
		case t.GetState() == txnv1.State_STATE_FAILED:
			return nil, failureOf(t)
		case t.GetParked():
			return nil, fmt.Errorf("transaction %s: %w: %s", gid, ErrParked, t.GetReason())
		}
		begin := time.Now()
		next, err := coordinator.Wait(ctx, &txnv1.WaitRequest{Gid: gid})
		if err == nil {
			t = next
		} else if ctx.Err() == nil && !passing(err) {
			return nil, fmt.Errorf("wait for transaction %s: %w", gid, err)
		}
		// A coordinator that is being replaced, or has no database, is asked again
		// after a moment: the transaction goes on when it is back.
		if !pause(ctx, shortWait-time.Since(begin)) {
			return nil, fmt.Errorf("transaction %s: %w: %w", gid, ErrUnfinished, ctx.Err())
		}
	}
}

// shortWait is how often the coordinator is asked at most.
const shortWait = 50 * time.Millisecond

func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// passing tells whether a call of the coordinator may go better by itself.
func passing(err error) bool {
	switch rpc.FromError(err).Code {
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Aborted:
		return true
	}
	return false
}

// failureOf says why a transaction did not take place.
func failureOf(t *txnv1.Transaction) *Failure {
	f := &Failure{ID: t.GetGid(), Step: t.GetReasonBranch()}
	said := &status.Status{}
	if len(t.GetReasonStatus()) > 0 && proto.Unmarshal(t.GetReasonStatus(), said) == nil && said.GetCode() != 0 {
		f.Cause = rpc.FromError(grpcstatus.ErrorProto(said))
		return f
	}
	code := codes.Code(t.GetReasonCode())
	if code == codes.OK {
		code = codes.Aborted // nobody failed: it was given up
	}
	f.Cause = &rpc.Error{Code: code, Message: t.GetReason()}
	return f
}
