package coordinator

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
)

// detail is how much of a transaction is shown.
type detail int

const (
	short detail = iota
	withBranches
	withRequests
)

// view shows the transaction; its lock is held, or nobody else has it.
func (t *transaction) view(much detail) *txnv1.Transaction {
	v := t.row.view()
	if much == short {
		return v
	}
	for _, b := range t.branches {
		v.Branches = append(v.Branches, b.view(much))
	}
	return v
}

func (r *row) view() *txnv1.Transaction {
	owner := r.owner
	if !r.active() {
		owner = ""
	}
	reason, branch := r.reason, r.reasonBranch
	if r.parked && r.parkReason != "" {
		reason, branch = r.parkReason, r.parkBranch
	}
	return &txnv1.Transaction{
		Gid: r.gid, Name: r.name, Pattern: r.pattern, State: r.state, Parked: r.parked,
		Reason: reason, ReasonBranch: branch, ReasonCode: r.reasonCode, ReasonStatus: r.reasonStatus,
		CreateTime: stamp(r.created), UpdateTime: stamp(r.updated), EndTime: stamp(r.ended), Deadline: stamp(r.deadline),
		Epoch: r.epoch, Owner: owner,
	}
}

func (b *branch) view(much detail) *txnv1.BranchView {
	v := &txnv1.BranchView{
		Name: b.row.name, State: b.row.state, Attempts: int32(min(b.row.attempts, 1<<30)), NextAttempt: stamp(b.row.due),
		Response: b.row.response, Error: b.row.error,
	}
	if b.busy && v.GetState() == txnv1.BranchState_BRANCH_STATE_PENDING {
		v.State = txnv1.BranchState_BRANCH_STATE_DOING
	}
	if b.t.row.state == txnv1.State_STATE_UNDOING && !b.undone() {
		v.State = txnv1.BranchState_BRANCH_STATE_UNDOING
	}
	if b.step != nil {
		v.Method, v.Undo, v.Pivot, v.After = b.step.GetMethod(), b.step.GetCompensate(), b.step.GetPivot(), b.step.GetAfter()
	} else {
		v.Method, v.Undo, v.Confirm = b.reg.GetMethod(), b.reg.GetCancel(), b.reg.GetConfirm()
	}
	if much == withRequests {
		v.Request = b.request()
	}
	return v
}

// request is what the branch is called with as far as it is known.
func (b *branch) request() []byte {
	if b.step != nil {
		return b.t.request(b, txnv1.Op_OP_ACTION)
	}
	return b.t.request(b, txnv1.Op_OP_TRY)
}

func stamp(micros int64) *timestamppb.Timestamp {
	if micros == 0 {
		return nil
	}
	return timestamppb.New(time.UnixMicro(micros))
}

func encode(m proto.Message) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}
