package coordinator

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
)

// Register adds a branch to an open transaction.
func (s *service) Register(ctx context.Context, req *txnv1.RegisterRequest) (*txnv1.RegisterResponse, error) {
	definition, err := encode(req)
	if err != nil {
		return nil, err
	}
	if err := s.engine.participates(ctx, req.GetService()); err != nil {
		return nil, err
	}
	v, err := s.engine.change(ctx, req.GetGid(), func(t *transaction) error { return t.register(req, definition) })
	if err != nil {
		return nil, err
	}
	op := txnv1.Op_OP_TRY
	if v.GetPattern() == txnv1.Pattern_PATTERN_TWO_PHASE {
		op = txnv1.Op_OP_PREPARE
	}
	about := &txnv1.Branch{Gid: req.GetGid(), Branch: req.GetBranch(), Op: op, Epoch: v.GetEpoch(), CreateTime: v.GetCreateTime()}
	if at := v.GetDeadline(); at.IsValid() {
		about.Deadline = timestamppb.New(s.engine.clock.wall(at.AsTime().UnixMicro()))
	}
	return &txnv1.RegisterResponse{Branch: about}, nil
}

func (t *transaction) register(req *txnv1.RegisterRequest, definition []byte) error {
	if t.saga != nil {
		return refused(txnv1.Reason_WRONG_PATTERN, "the steps of a saga are part of it")
	}
	if err := validRegistration(t, req); err != nil {
		return err
	}
	if b := t.branch(req.GetBranch()); b != nil {
		if !proto.Equal(b.reg, req) {
			return refused(txnv1.Reason_BRANCH_EXISTS, "branch %q is there with another method or request", req.GetBranch())
		}
		return nil
	}
	if t.row.state != txnv1.State_STATE_PREPARED {
		return refused(txnv1.Reason_TRANSACTION_ABORTED, "transaction %q takes no more branches", t.row.gid)
	}
	t.branches = append(t.branches, &branch{t: t, reg: req, changed: true, row: branchRow{
		gid: t.row.gid, name: req.GetBranch(), position: len(t.branches), state: txnv1.BranchState_BRANCH_STATE_DOING, definition: definition,
	}})
	return nil
}

// Commit decides that an open transaction takes place.
func (s *service) Commit(ctx context.Context, req *txnv1.CommitRequest) (*txnv1.Transaction, error) {
	v, err := s.engine.change(ctx, req.GetGid(), func(t *transaction) error { return t.commit() })
	return s.answer(ctx, v, err, req.GetWait())
}

func (t *transaction) commit() error {
	switch t.row.state {
	case txnv1.State_STATE_PREPARED:
		if t.saga != nil {
			t.begin()
			t.unpark()
			return nil
		}
		if t.row.deadline != 0 && t.e.clock.until(t.row.deadline) <= 0 {
			t.turnBack("", "nobody decided in time", codes.DeadlineExceeded, nil)
			return refused(txnv1.Reason_TRANSACTION_ABORTED, "transaction %q does not take place: nobody decided in time", t.row.gid)
		}
		t.unpark()
		t.row.state, t.row.deadline = txnv1.State_STATE_RUNNING, 0
	case txnv1.State_STATE_UNDOING, txnv1.State_STATE_FAILED:
		return refused(txnv1.Reason_TRANSACTION_ABORTED, "transaction %q does not take place: %s", t.row.gid, t.row.reason)
	case txnv1.State_STATE_WAITING:
		if t.saga == nil {
			return refused(txnv1.Reason_WRONG_PATTERN, "transaction %q still waits for its locks", t.row.gid)
		}
	}
	return nil
}

// Abort decides that a transaction does not take place.
func (s *service) Abort(ctx context.Context, req *txnv1.AbortRequest) (*txnv1.Transaction, error) {
	reason := req.GetReason()
	if reason == "" {
		reason = "aborted"
	}
	v, err := s.engine.change(ctx, req.GetGid(), func(t *transaction) error { return t.abort(reason) })
	return s.answer(ctx, v, err, req.GetWait())
}

func (t *transaction) abort(reason string) error {
	switch t.row.state {
	case txnv1.State_STATE_UNDOING, txnv1.State_STATE_FAILED:
		return nil
	case txnv1.State_STATE_SUCCEEDED:
		return refused(txnv1.Reason_TRANSACTION_COMMITTED, "transaction %q took place", t.row.gid)
	case txnv1.State_STATE_RUNNING:
		if t.saga == nil || t.pivotBegun() {
			return refused(txnv1.Reason_TRANSACTION_COMMITTED, "transaction %q goes forward only", t.row.gid)
		}
	}
	t.unpark()
	if t.check != nil && t.row.state == txnv1.State_STATE_PREPARED {
		t.askNow()
		return nil
	}
	t.turnBack("", reason, codes.Aborted, nil)
	return nil
}
