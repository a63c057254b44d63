package coordinator

import (
	"time"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
)

// branch is one step of a saga, or one part of a TCC or a two-phase commit.
type branch struct {
	t       *transaction
	row     branchRow
	changed bool
	step    *txnv1.Step            // of a saga
	reg     *txnv1.RegisterRequest // of the others
	before  []*branch
	after   []*branch
	forced  bool // after the pivot

	busy    bool // a call waits for room, or is under way
	called  bool // its action was called from here
	unheard bool // a call from here ended without a word of the participant
	due     time.Time
}

// done reports whether the way forward is free of it.
func (b *branch) done() bool {
	return b.row.state == txnv1.BranchState_BRANCH_STATE_DONE || b.row.state == txnv1.BranchState_BRANCH_STATE_SKIPPED
}

// ready reports whether what comes before it is done, and it is not.
func (b *branch) ready() bool {
	if b.done() {
		return false
	}
	for _, p := range b.before {
		if !p.done() {
			return false
		}
	}
	return true
}

// undone reports whether there is nothing, or nothing more, to undo.
func (b *branch) undone() bool {
	switch b.row.state {
	case txnv1.BranchState_BRANCH_STATE_PENDING, txnv1.BranchState_BRANCH_STATE_UNDONE,
		txnv1.BranchState_BRANCH_STATE_SKIPPED, txnv1.BranchState_BRANCH_STATE_FAILED:
		return !b.busy
	case txnv1.BranchState_BRANCH_STATE_DONE, txnv1.BranchState_BRANCH_STATE_DOING:
		return !b.busy && b.step != nil && b.step.GetCompensate() == ""
	}
	return false
}

// revertible reports whether it is to be undone and everything after it is, or
// cannot be.
func (b *branch) revertible() bool {
	if b.undone() || b.busy {
		return false
	}
	for _, s := range b.after {
		if !s.row.stuck && (!s.undone() || !s.allUndone()) {
			return false
		}
	}
	return true
}

// allUndone looks through branches that have nothing to undo themselves.
func (b *branch) allUndone() bool {
	for _, s := range b.after {
		if !s.row.stuck && (!s.undone() || !s.allUndone()) {
			return false
		}
	}
	return true
}

// turnBack prepares for being undone. What may have been called without an answer
// is undone too: its participant knows whether there is anything to undo.
func (b *branch) turnBack(fresh bool) {
	if b.row.state == txnv1.BranchState_BRANCH_STATE_PENDING && (b.called || b.busy || !fresh && b.ready()) {
		b.row.state, b.changed = txnv1.BranchState_BRANCH_STATE_DOING, true
	}
	if b.row.stuck || b.row.attempts > 0 {
		b.changed = true
	}
	b.row.stuck, b.row.attempts, b.row.due, b.due = false, 0, 0, time.Time{}
}

// again gives it a new budget, now.
func (b *branch) again() {
	if b.row.attempts == 0 && !b.row.stuck && b.row.due == 0 {
		return
	}
	b.row.attempts, b.row.stuck, b.row.due, b.due, b.changed = 0, false, 0, time.Time{}, true
}

// refused is the state of a branch whose action had no effect. A call of which
// nothing was heard, or one of the coordinator before, may still be on its way:
// undoing what was not done bars it, unless the participant has done so itself.
func (b *branch) refused(o outcome) txnv1.BranchState {
	if b.inDoubt() && !o.barred {
		return txnv1.BranchState_BRANCH_STATE_DOING
	}
	return txnv1.BranchState_BRANCH_STATE_FAILED
}

// inDoubt reports whether a call of the action that was not answered may have done
// it, or may still do so.
func (b *branch) inDoubt() bool { return b.unheard || !b.t.fresh }

// retryable reports whether a failure of the action is tried again.
func (b *branch) retryable() bool { return b.forced || b.step != nil && b.step.GetRetryable() }

// method is what is called for an operation.
func (b *branch) method(op txnv1.Op) string {
	switch op {
	case txnv1.Op_OP_ACTION:
		return b.step.GetMethod()
	case txnv1.Op_OP_COMPENSATE:
		return b.step.GetCompensate()
	case txnv1.Op_OP_CONFIRM:
		return b.reg.GetConfirm()
	case txnv1.Op_OP_CANCEL:
		return b.reg.GetCancel()
	}
	return b.reg.GetMethod()
}

func (b *branch) policy() *txnv1.CallPolicy {
	if b.step != nil {
		return b.step.GetPolicy()
	}
	return b.reg.GetPolicy()
}

// pivotBegun reports whether the saga may have done what cannot be taken back.
func (t *transaction) pivotBegun() bool {
	for _, b := range t.branches {
		if b.step.GetPivot() {
			return b.done() || b.called || b.busy || !t.fresh && b.ready()
		}
	}
	return false
}
