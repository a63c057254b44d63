package coordinator

import (
	"context"
	"errors"
	"time"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
)

// change makes a change to a transaction, as its owner, and answers when that is on disk.
func (e *Engine) change(ctx context.Context, gid string, f func(t *transaction) error) (*txnv1.Transaction, error) {
	for {
		if e.draining.Load() {
			return nil, refused(txnv1.Reason_STOPPING, "the coordinator is going away")
		}
		t, err := e.adopt(ctx, gid)
		if err != nil {
			return nil, err
		}
		v, again, err := t.change(ctx, f)
		if !again {
			return v, err
		}
	}
}

func (t *transaction) change(ctx context.Context, f func(t *transaction) error) (_ *txnv1.Transaction, again bool, err error) {
	t.mu.Lock()
	if t.gone && !t.row.terminal() {
		t.mu.Unlock()
		return nil, true, nil // lost meanwhile: read it anew
	}
	if err := f(t); err != nil {
		if t.gone {
			t.mu.Unlock()
			return nil, false, err
		}
		t.advance()
		t.mu.Unlock()
		return nil, false, err
	}
	if t.gone {
		defer t.mu.Unlock()
		return t.view(withBranches), false, nil
	}
	result := make(chan verdict, 1)
	t.settle()
	v := t.view(withBranches)
	if t.dirty() {
		t.durable = append(t.durable, func(v verdict) { result <- v })
		t.flush()
	} else {
		result <- verdict{}
		t.advance()
	}
	t.mu.Unlock()
	select {
	case done := <-result:
		if errors.Is(done.err, errFenced) {
			return nil, true, nil
		}
		if done.err != nil {
			return nil, false, away(done.err)
		}
		return v, false, nil
	case <-ctx.Done():
		return nil, false, away(ctx.Err())
	}
}

func settled(state txnv1.State, parked bool) bool {
	return parked || state == txnv1.State_STATE_SUCCEEDED || state == txnv1.State_STATE_FAILED
}

// await returns the transaction as soon as it is as wanted, or as it is shortly
// before the deadline of ctx.
func (e *Engine) await(ctx context.Context, gid string, wanted func(state txnv1.State, parked bool) bool) (*txnv1.Transaction, error) {
	poll := time.Second // somebody else may have taken it over
	var limit <-chan time.Time
	if at, ok := ctx.Deadline(); ok {
		left := time.Until(at)
		margin := time.NewTimer(left - min(left/5, 200*time.Millisecond))
		defer margin.Stop()
		limit = margin.C
	}
	for {
		t := e.get(gid)
		if t == nil {
			v, err := e.read(ctx, gid, withBranches)
			if err != nil || wanted(v.GetState(), v.GetParked()) {
				return v, err
			}
			poll = 100 * time.Millisecond
		} else if v, ok := t.look(wanted); ok {
			return v, nil
		}
		again := time.NewTimer(poll)
		select {
		case <-settledOf(t):
			again.Stop()
			if v, ok := t.look(wanted); ok {
				return v, nil
			}
		case <-again.C:
		case <-e.stopping: // it goes on elsewhere, where one can ask again
			again.Stop()
			return e.read(ctx, gid, withBranches)
		case <-limit:
			again.Stop()
			return e.read(ctx, gid, withBranches)
		case <-ctx.Done():
			again.Stop()
			return nil, ctx.Err()
		}
	}
}

func settledOf(t *transaction) <-chan struct{} {
	if t == nil {
		return nil
	}
	return t.settled
}

// look shows the transaction if it is as wanted, and that is on disk.
func (t *transaction) look(wanted func(state txnv1.State, parked bool) bool) (*txnv1.Transaction, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lost || t.dirty() || !wanted(t.row.state, t.row.parked) {
		return nil, false
	}
	return t.view(withBranches), true
}
