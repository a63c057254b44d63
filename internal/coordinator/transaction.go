package coordinator

import (
	"errors"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
)

// transaction is one that this coordinator works on. What happens to it is first
// changed here, then written, and only what is written leads to the next calls:
// at most one write is under way, and it holds all changes made until then.
type transaction struct {
	e *Engine

	mu        sync.Mutex
	row       row
	saga      *txnv1.Saga // nil: TCC or two-phase commit
	check     *txnv1.Check
	openLocks []*txnv1.Lock
	branches  []*branch
	fresh     bool // never read from the database: what was not called here was not called

	changed  bool // the row
	writing  bool
	attempts []attemptRow
	actions  []actionRow
	seq      int64
	gone     bool // ended, parked, or another's: nothing is done to it here any more

	asking  bool // the local transaction is being asked about
	tries   int
	askAt   time.Time
	held    map[string]bool
	want    *want
	queued  bool // among those who wait for a lock
	timer   timer
	settled chan struct{}   // closed when it is gone
	lost    bool            // gone, and what is here may not be so
	durable []func(verdict) // called when all changes are on disk
}

func newTransaction(e *Engine, r row) *transaction {
	t := &transaction{e: e, row: r, held: map[string]bool{}, settled: make(chan struct{})}
	t.timer = timer{index: -1, wake: func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.advance()
	}}
	return t
}

// flush writes what changed.
func (t *transaction) flush() {
	if t.writing || t.gone {
		return
	}
	item := &write{gid: t.row.gid, epoch: t.row.epoch, attempts: t.attempts, actions: t.actions, done: t.written}
	t.attempts, t.actions = nil, nil
	for _, b := range t.branches {
		if b.changed {
			b.changed = false
			item.branches = append(item.branches, b.row)
		}
	}
	if t.changed {
		t.changed = false
		t.row.updated = t.e.now()
		r := t.row
		r.definition = nil // stays as it is
		if !r.active() {
			r.owner = ""
		}
		item.row = &r
		item.unlock = r.terminal() && t.locks()
	}
	if t.want != nil && t.want.due(time.Now()) {
		item.claim = t.want.claim()
	}
	if item.row == nil && item.claim == nil && len(item.branches)+len(item.attempts)+len(item.actions) == 0 {
		return
	}
	t.writing = true
	t.e.writer.add(item)
}

// dirty reports whether there is something that is not on disk.
func (t *transaction) dirty() bool {
	return t.writing || t.changed || len(t.attempts)+len(t.actions) > 0 || slices.ContainsFunc(t.branches, func(b *branch) bool { return b.changed })
}

// locks reports whether the transaction may hold or want locks.
func (t *transaction) locks() bool {
	return len(t.held) > 0 || t.want != nil || len(t.upfront()) > 0 ||
		slices.ContainsFunc(t.branches, func(b *branch) bool { return b.step != nil && len(b.step.GetLocks()) > 0 })
}

// written goes on after a write.
func (t *transaction) written(v verdict) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.writing = false
	if v.err != nil {
		if errors.Is(v.err, errFenced) {
			t.e.metrics.fenced.Inc()
			t.e.logger.Info("transaction was taken over by another coordinator", "gid", t.row.gid, "epoch", t.row.epoch)
		}
		t.tell(v)
		t.drop()
		return
	}
	if t.want != nil && t.want.asked {
		t.answered(v)
	}
	if t.dirty() {
		t.flush()
		return
	}
	t.tell(verdict{})
	if !t.row.active() {
		t.conclude()
		return
	}
	t.advance()
}

func (t *transaction) tell(v verdict) {
	for _, f := range t.durable {
		f(v)
	}
	t.durable = nil
}

// conclude ends the work on a transaction that has ended or is parked, and wakes
// those who wait for that, or for its locks.
func (t *transaction) conclude() {
	if t.gone {
		return
	}
	m := t.e.metrics
	if t.row.parked {
		m.parkings.WithLabelValues(t.row.name).Inc()
		t.e.logger.Error("transaction is parked", "gid", t.row.gid, "name", t.row.name, "branch", t.row.parkBranch, "reason", t.row.parkReason)
	} else {
		outcome := "succeeded"
		if t.row.state == txnv1.State_STATE_FAILED {
			outcome = "failed"
		}
		m.ended.WithLabelValues(t.row.name, patternName(t.row.pattern), outcome).Observe(float64(t.row.ended-t.row.created) / 1e6)
	}
	free := t.locks()
	t.leave()
	if free {
		t.e.wakeWaiting(t)
	}
}

// drop forgets a transaction that is another's, or soon will be.
func (t *transaction) drop() {
	if !t.gone {
		t.lost = true
		t.leave()
	}
}

func (t *transaction) leave() {
	t.gone = true
	t.e.timers.clear(&t.timer)
	t.e.remove(t)
	t.e.stopWaiting(t)
	close(t.settled)
}

// end brings the transaction into a last state.
func (t *transaction) end(state txnv1.State) {
	t.row.state, t.changed = state, true
	t.row.ended = t.e.now()
	t.want = nil
	if state == txnv1.State_STATE_SUCCEEDED { // whatever was in its way once
		t.row.reason, t.row.reasonBranch, t.row.reasonCode, t.row.reasonStatus = "", "", 0, nil
	}
}

// park stops the transaction until an operator acts.
func (t *transaction) park(branch, reason string) {
	t.row.parked, t.changed = true, true
	t.row.parkBranch, t.row.parkReason = branch, clean(reason)
}

// unpark lets it go on.
func (t *transaction) unpark() {
	t.row.parked, t.changed = false, true
	t.row.parkBranch, t.row.parkReason = "", ""
}

// because says why the transaction is turned back.
func (t *transaction) because(branch, reason string, code codes.Code, status []byte) {
	t.row.reasonBranch, t.row.reason, t.row.reasonCode, t.row.reasonStatus = branch, clean(reason), int32(code), status
	t.changed = true
}

// expired reports whether the transaction's time is up; otherwise it is woken then.
func (t *transaction) expired(next *time.Time) bool {
	if t.row.deadline == 0 {
		return false
	}
	left := t.e.clock.until(t.row.deadline)
	if left <= 0 {
		return true
	}
	earliest(next, time.Now().Add(left))
	return false
}

func earliest(next *time.Time, at time.Time) {
	if next.IsZero() || at.Before(*next) {
		*next = at
	}
}

// advance begins what can be begun, and sets the timer for the rest. It is called
// after every write and whenever the time has come.
func (t *transaction) advance() {
	if t.gone || t.writing {
		return
	}
	if !t.row.active() && !t.dirty() { // parked, and only looked at
		t.leave()
	}
	if !t.row.active() || t.e.draining.Load() {
		return
	}
	if t.changed { // a decision leads to calls once it is on disk
		t.settle()
		t.flush()
		return
	}
	var next time.Time
	switch t.row.state {
	case txnv1.State_STATE_WAITING:
		t.wait(&next)
	case txnv1.State_STATE_PREPARED:
		t.open(&next)
	case txnv1.State_STATE_RUNNING:
		t.forward(&next)
	case txnv1.State_STATE_UNDOING:
		t.backward(&next)
	}
	t.settle()
	t.flush()
	if !next.IsZero() && !t.writing {
		t.e.timers.set(&t.timer, next)
	}
}

// settle ends the transaction when all is done, and parks it when nothing can go on.
func (t *transaction) settle() {
	if t.row.parked || t.row.terminal() {
		return
	}
	var left, stuck, moving int
	var first *branch
	for _, b := range t.branches {
		if t.row.state == txnv1.State_STATE_RUNNING && b.done() || t.row.state == txnv1.State_STATE_UNDOING && b.undone() {
			continue
		}
		left++
		switch {
		case b.row.stuck:
			stuck++
			if first == nil {
				first = b
			}
		case b.busy || t.can(b):
			moving++
		}
	}
	switch {
	case t.row.state == txnv1.State_STATE_RUNNING && left == 0:
		t.end(txnv1.State_STATE_SUCCEEDED)
	case t.row.state == txnv1.State_STATE_UNDOING && left == 0:
		t.end(txnv1.State_STATE_FAILED)
	case stuck > 0 && moving == 0:
		t.park(first.row.name, first.row.error)
	}
}

// can reports whether the branch is to be called now or later, in the direction
// in which the transaction goes.
func (t *transaction) can(b *branch) bool {
	switch t.row.state {
	case txnv1.State_STATE_RUNNING:
		return !b.row.stuck && b.ready()
	case txnv1.State_STATE_UNDOING:
		return !b.row.stuck && b.revertible()
	}
	return false
}

// forward calls the actions whose turn it is; of a TCC or a two-phase commit, all
// confirmations at once.
func (t *transaction) forward(next *time.Time) {
	if t.saga != nil && !t.pivotBegun() && t.expired(next) {
		t.turnBack("", "the time is up", codes.DeadlineExceeded, nil)
		return
	}
	for _, b := range t.branches {
		if b.busy || b.row.stuck || b.done() || !b.ready() {
			continue
		}
		if wait := time.Until(b.due); wait > 0 {
			earliest(next, b.due)
			continue
		}
		if !t.locked(b, next) {
			if t.row.state != txnv1.State_STATE_RUNNING {
				return
			}
			continue
		}
		t.start(b, t.forwardOp())
	}
}

// backward undoes, each branch after those that came after it.
func (t *transaction) backward(next *time.Time) {
	for _, b := range t.branches {
		if b.busy || b.row.stuck || b.undone() || !b.revertible() {
			continue
		}
		if time.Until(b.due) > 0 {
			earliest(next, b.due)
			continue
		}
		t.start(b, t.backwardOp())
	}
}

func (t *transaction) forwardOp() txnv1.Op {
	if t.saga != nil {
		return txnv1.Op_OP_ACTION
	}
	return txnv1.Op_OP_CONFIRM
}

func (t *transaction) backwardOp() txnv1.Op {
	if t.saga != nil {
		return txnv1.Op_OP_COMPENSATE
	}
	return txnv1.Op_OP_CANCEL
}

// turnBack undoes what was done, and what may have been done.
func (t *transaction) turnBack(branch, reason string, code codes.Code, status []byte) {
	fresh := t.fresh || t.row.state != txnv1.State_STATE_RUNNING
	t.row.state = txnv1.State_STATE_UNDOING
	t.because(branch, reason, code, status)
	t.want = nil
	for _, b := range t.branches {
		b.turnBack(fresh)
	}
}
