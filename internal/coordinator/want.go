package coordinator

import (
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
)

// want is what a transaction waits for before it goes on: its locks, or those of
// one of its steps.
type want struct {
	keys     []string
	failFast bool
	branch   *branch   // nil: those of the transaction
	until    time.Time // zero: for as long as it takes
	next     time.Time
	asked    bool
}

func (w *want) due(now time.Time) bool { return !w.asked && !w.next.After(now) }

func (w *want) claim() *claim {
	w.asked = true
	return &claim{keys: w.keys, failFast: w.failFast}
}

// wants makes a want of what a contract says. The strictest policy holds for all.
func (t *transaction) wants(locks []*txnv1.Lock, b *branch) *want {
	w := &want{branch: b}
	var most time.Duration
	for _, l := range locks {
		if t.held[l.GetKey()] {
			continue
		}
		w.keys = append(w.keys, l.GetKey())
		switch l.GetPolicy() {
		case txnv1.Lock_POLICY_FAIL_FAST:
			w.failFast = true
		case txnv1.Lock_POLICY_QUEUE:
		default:
			limit := l.GetTimeout().AsDuration()
			if limit <= 0 {
				limit = t.e.limits.lockTimeout.Get()
			}
			if most == 0 || limit < most {
				most = limit
			}
		}
	}
	if most > 0 {
		w.until = time.Now().Add(most)
	}
	return w
}

// upfront are the locks of the transaction as a whole.
func (t *transaction) upfront() []*txnv1.Lock {
	if t.saga != nil {
		return t.saga.GetLocks()
	}
	return t.openLocks
}

// wait waits for the locks of the transaction.
func (t *transaction) wait(next *time.Time) {
	if t.want == nil {
		t.want = t.wants(t.upfront(), nil)
	}
	if t.expired(next) {
		t.because("", "the time is up", codes.DeadlineExceeded, nil)
		t.end(txnv1.State_STATE_FAILED)
		return
	}
	if t.wantExpired(next) {
		t.withoutLock(nil, txnv1.Reason_LOCK_TIMEOUT, "a lock was not free in time")
	}
}

// wantExpired reports whether the waiting is over; otherwise it is looked again then.
func (t *transaction) wantExpired(next *time.Time) bool {
	now := time.Now()
	if !t.want.until.IsZero() && !t.want.until.After(now) {
		return true
	}
	if !t.want.due(now) {
		earliest(next, t.want.next)
	}
	if !t.want.until.IsZero() {
		earliest(next, t.want.until)
	}
	return false
}

// locked reports whether the branch has its locks, and sees to it that it gets them.
func (t *transaction) locked(b *branch, next *time.Time) bool {
	if len(b.step.GetLocks()) == 0 {
		return true
	}
	if t.want == nil {
		w := t.wants(b.step.GetLocks(), b)
		if len(w.keys) == 0 {
			return true
		}
		t.want = w
	}
	if t.want.branch == b && t.wantExpired(next) {
		t.withoutLock(b, txnv1.Reason_LOCK_TIMEOUT, "a lock was not free in time")
	}
	return false
}

// answered takes in what became of the question for locks.
func (t *transaction) answered(v verdict) {
	w := t.want
	w.asked = false
	switch {
	case v.granted:
		for _, key := range w.keys {
			t.held[key] = true
		}
		t.want = nil
		t.e.stopWaiting(t)
		if t.row.state == txnv1.State_STATE_WAITING {
			t.began()
		}
	case w.failFast:
		t.withoutLock(w.branch, txnv1.Reason_LOCK_HELD, "the lock is held by "+v.holder)
	case v.doomed && w.branch != nil:
		t.withoutLock(w.branch, txnv1.Reason_LOCK_TIMEOUT, "waiting for the lock would be for ever: its holder, "+v.holder+", waits for this transaction")
	default:
		poll := t.e.limits.lockPoll.Get()
		w.next = time.Now().Add(poll/2 + rand.N(poll))
		t.e.startWaiting(t, w.keys)
	}
}

// withoutLock turns the saga back at a step that does not get its locks; a
// transaction that does not get its own has failed before it did anything.
func (t *transaction) withoutLock(b *branch, reason txnv1.Reason, why string) {
	status := statusOf(refused(reason, "%s", why))
	if b != nil {
		t.turnBack(b.row.name, why, codes.Aborted, status)
		return
	}
	t.because("", why, codes.Aborted, status)
	t.end(txnv1.State_STATE_FAILED)
}

// began lets a transaction begin that has all its locks.
func (t *transaction) began() {
	t.row.state, t.changed = txnv1.State_STATE_RUNNING, true
	if t.saga == nil {
		t.row.state = txnv1.State_STATE_PREPARED
	}
}

// startWaiting has the transaction woken when one of the keys becomes free here.
func (e *Engine) startWaiting(t *transaction, keys []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	t.queued = true
	for _, key := range keys {
		if e.waiting[key] == nil {
			e.waiting[key] = map[*transaction]bool{}
		}
		e.waiting[key][t] = true
	}
}

func (e *Engine) stopWaiting(t *transaction) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !t.queued {
		return
	}
	t.queued = false
	for key, all := range e.waiting {
		if delete(all, t); len(all) == 0 {
			delete(e.waiting, key)
		}
	}
}

// wakeWaiting wakes those who wait for what the transaction held.
func (e *Engine) wakeWaiting(t *transaction) {
	e.mu.Lock()
	woken := map[*transaction]bool{}
	for key := range t.held {
		for other := range e.waiting[key] {
			woken[other] = true
		}
	}
	for _, l := range t.upfront() {
		for other := range e.waiting[l.GetKey()] {
			woken[other] = true
		}
	}
	e.mu.Unlock()
	for other := range woken {
		go other.lookAgain()
	}
}

// lookAgain asks for the locks once more, now.
func (t *transaction) lookAgain() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.want != nil {
		t.want.next = time.Time{}
	}
	t.advance()
}
