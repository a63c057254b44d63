package coordinator

import (
	"fmt"
	"time"

	"google.golang.org/grpc/codes"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
)

// start calls a branch as soon as its contract has room.
func (t *transaction) start(b *branch, op txnv1.Op) {
	if !t.e.begin() {
		return
	}
	method := b.method(op)
	if t.row.pattern == txnv1.Pattern_PATTERN_TWO_PHASE {
		method = b.reg.GetMethod()
	}
	gate, policy := t.e.gates.of(method)
	b.busy = true
	if op == txnv1.Op_OP_ACTION {
		b.called = true
	}
	gate.enter(func() {
		defer t.e.calls.Done()
		c, ok := t.ask(b, op, policy)
		if !ok {
			return
		}
		c.started = t.e.now()
		o := t.e.call(c)
		c.took = t.e.now() - c.started
		t.heard(b, c, o, policy)
	})
}

// ask makes the call, if it is still wanted now that there is room for it.
func (t *transaction) ask(b *branch, op txnv1.Op, policy *callPolicy) (call, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	direction := op == t.forwardOp() && t.row.state == txnv1.State_STATE_RUNNING || op == t.backwardOp() && t.row.state == txnv1.State_STATE_UNDOING
	if t.gone || t.e.draining.Load() || !direction || !t.row.active() {
		b.busy = false
		t.advance()
		return call{}, false
	}
	timeout := policy.timeout.Get()
	if own := b.policy().GetTimeout().AsDuration(); own > 0 {
		timeout = own
	}
	c := call{
		gid: t.row.gid, branch: b.row.name, op: op, epoch: t.row.epoch, deadline: t.row.deadline, created: t.row.created, trace: t.row.trace,
		method: b.method(op), timeout: timeout, number: b.row.attempts + 1, transaction: t.row.name,
	}
	c.inDoubt = op == txnv1.Op_OP_ACTION && !b.retryable() && b.inDoubt()
	if op == txnv1.Op_OP_COMPENSATE || op == txnv1.Op_OP_CANCEL {
		c.reason, c.reasonStatus = t.row.reason, t.row.reasonStatus
	}
	if t.row.pattern == txnv1.Pattern_PATTERN_TWO_PHASE {
		c.finish = &finish{service: b.reg.GetService(), method: b.reg.GetMethod(), commit: op == txnv1.Op_OP_CONFIRM}
	}
	c.request = t.request(b, op)
	return c, true
}

// heard takes in how a call ended.
func (t *transaction) heard(b *branch, c call, o outcome, policy *callPolicy) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b.busy = false
	if t.gone {
		return
	}
	ongoing := o.kind == txnv1.Outcome_KIND_ONGOING
	if ongoing && b.row.error == "" || !ongoing && (o.kind != txnv1.Outcome_KIND_OK || c.number > 1) {
		t.seq++
		t.attempts = append(t.attempts, attemptRow{
			gid: c.gid, epoch: c.epoch, seq: t.seq, branch: c.branch, op: c.op, number: c.number, node: t.e.node,
			started: c.started, took: c.took, outcome: o,
		})
	} else if o.kind == txnv1.Outcome_KIND_OK {
		b.succeeded(c)
	}
	if c.op == txnv1.Op_OP_ACTION && t.row.state == txnv1.State_STATE_UNDOING {
		t.late(b, o)
	} else if t.takes(b, c.op) {
		t.apply(b, c.op, o, policy)
	}
	t.settle()
	t.flush()
	t.advance()
}

// succeeded remembers a call that succeeded at first.
func (b *branch) succeeded(c call) {
	b.changed = true
	if c.op == b.t.forwardOp() {
		b.row.did = span{c.started, c.took}
	} else {
		b.row.undid = span{c.started, c.took}
	}
}

// takes reports whether the outcome of an operation still matters: an operator
// may have skipped the branch meanwhile.
func (t *transaction) takes(b *branch, op txnv1.Op) bool {
	if op == t.forwardOp() {
		return t.row.state == txnv1.State_STATE_RUNNING && !b.done()
	}
	return t.row.state == txnv1.State_STATE_UNDOING && !b.undone()
}

// late takes in how an action ended that the saga no longer wants.
func (t *transaction) late(b *branch, o outcome) {
	if b.row.state == txnv1.BranchState_BRANCH_STATE_SKIPPED {
		return
	}
	b.changed = true
	switch o.kind {
	case txnv1.Outcome_KIND_OK:
		b.row.state, b.row.response = txnv1.BranchState_BRANCH_STATE_DONE, o.response
	case txnv1.Outcome_KIND_FAILURE:
		b.row.state, b.row.error = b.refused(o), o.reason
	default:
		b.row.state = txnv1.BranchState_BRANCH_STATE_DOING
	}
}

func (t *transaction) apply(b *branch, op txnv1.Op, o outcome, policy *callPolicy) {
	switch o.kind {
	case txnv1.Outcome_KIND_OK:
		b.changed = true
		b.row.attempts, b.row.error, b.row.due = 0, "", 0
		if op == t.backwardOp() {
			b.row.state = txnv1.BranchState_BRANCH_STATE_UNDONE
			return
		}
		b.row.state = txnv1.BranchState_BRANCH_STATE_DONE
		if op == txnv1.Op_OP_ACTION {
			b.row.response = o.response
		}
	case txnv1.Outcome_KIND_ONGOING:
		after := o.after
		if after <= 0 {
			after = policy.ongoing.Get()
		}
		b.changed = b.changed || b.row.error == ""
		b.row.error = clean("is still at work: " + o.reason)
		b.later(after)
	default:
		t.failed(b, op, o, policy)
	}
}

// later sets when the branch is called again.
func (b *branch) later(d time.Duration) {
	b.due = time.Now().Add(d)
	b.row.due = b.t.e.now() + d.Microseconds()
}

// failed decides whether a branch that did not succeed is called again, turns the
// saga back, or needs an operator.
func (t *transaction) failed(b *branch, op txnv1.Op, o outcome, policy *callPolicy) {
	b.changed = true
	b.row.attempts++
	b.row.error = clean(o.reason)
	b.unheard = b.unheard || o.kind != txnv1.Outcome_KIND_FAILURE
	mayTurn := op == txnv1.Op_OP_ACTION && !b.retryable()
	if mayTurn && o.kind == txnv1.Outcome_KIND_FAILURE {
		if b.refused(o) == txnv1.BranchState_BRANCH_STATE_DOING && b.step.GetCompensate() == "" {
			b.row.stuck, b.row.due = true, 0 // an earlier call may still do what nothing undoes
			return
		}
		b.row.state = b.refused(o)
		t.turnBack(b.row.name, o.reason, o.code, o.status)
		return
	}
	most := policy.attempts.Get()
	if own := int(b.policy().GetAttempts()); own > 0 {
		most = own
	}
	if o.kind == txnv1.Outcome_KIND_FAILURE {
		most = min(most, policy.failures.Get())
	}
	if o.lost {
		most = 1
	}
	switch {
	case b.row.attempts < most:
		b.later(max(o.after, t.backoff(b, policy)))
	case mayTurn && (!b.step.GetPivot() || b.step.GetCompensate() != ""):
		reason := fmt.Sprintf("no success after %d calls: %s", b.row.attempts, o.reason)
		t.turnBack(b.row.name, reason, maxCode(o.code), o.status)
	default:
		b.row.stuck, b.row.due = true, 0
	}
}

func maxCode(c codes.Code) codes.Code {
	if c == codes.OK {
		return codes.Unavailable
	}
	return c
}

func (t *transaction) backoff(b *branch, policy *callPolicy) time.Duration {
	base, most := policy.backoff.Get(), policy.backoffMax.Get()
	if own := b.policy().GetBackoff().AsDuration(); own > 0 {
		base = own
	}
	if own := b.policy().GetMaxBackoff().AsDuration(); own > 0 {
		most = own
	}
	return jitter(base, max(base, most), b.row.attempts)
}
