package coordinator

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
)

// create makes a transaction durable and begins to work on it.
func (e *Engine) create(ctx context.Context, def *txnv1.PrepareRequest, open bool) (*txnv1.Transaction, error) {
	if err := validate(def); err != nil {
		return nil, err
	}
	if e.draining.Load() {
		return nil, refused(txnv1.Reason_STOPPING, "the coordinator is going away")
	}
	t, err := e.draft(ctx, def, open)
	if err != nil {
		return nil, err
	}
	if there := e.get(t.row.gid); there != nil {
		if there.row.digest != t.row.digest {
			return nil, exists(t.row.gid)
		}
		return e.read(ctx, t.row.gid, short)
	}
	if e.full() {
		return nil, refused(txnv1.Reason_TOO_MANY_TRANSACTIONS, "the coordinator has as many unfinished transactions as it may")
	}
	item := &write{gid: t.row.gid, epoch: t.row.epoch, create: true, row: &t.row}
	if t.row.state == txnv1.State_STATE_WAITING {
		t.want = t.wants(t.upfront(), nil)
		item.claim = t.want.claim()
		item.claim.create = true
	}
	result := make(chan verdict, 1)
	fixed := t.row
	item.row = &fixed
	item.done = func(v verdict) {
		if v.err == nil {
			t.mu.Lock()
			t.writing = true
			t.mu.Unlock()
			if there := e.add(t); there != t { // asked for by its id meanwhile, and so adopted
				t.giveWay(there)
			}
			e.metrics.began.WithLabelValues(t.row.name, patternName(t.row.pattern)).Inc()
			if err := e.fail("created"); err == nil {
				t.written(v)
			}
		}
		e.endCreate(fixed.gid)
		result <- v
	}
	e.beginCreate(fixed.gid)
	e.writer.add(item)
	select {
	case v := <-result:
		return e.created(ctx, t, v)
	case <-ctx.Done():
		return nil, away(ctx.Err())
	}
}

// giveWay leaves the transaction to one that was read from the database.
func (t *transaction) giveWay(to *transaction) {
	t.mu.Lock()
	t.drop()
	t.mu.Unlock()
	to.mu.Lock()
	defer to.mu.Unlock()
	to.advance()
}

func (e *Engine) created(ctx context.Context, t *transaction, v verdict) (*txnv1.Transaction, error) {
	switch {
	case errors.Is(v.err, errLocked):
		return nil, refused(txnv1.Reason_LOCK_HELD, "transaction %q holds a lock that %q wants and does not want to wait for", v.holder, t.row.gid)
	case errors.Is(v.err, errExists) && v.digest != t.row.digest:
		return nil, exists(t.row.gid)
	case errors.Is(v.err, errExists):
		return e.read(ctx, t.row.gid, short)
	case v.err != nil:
		return nil, away(v.err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.view(short), nil
}

func exists(gid string) error {
	return refused(txnv1.Reason_TRANSACTION_EXISTS, "%q is the id of another transaction", gid)
}

// draft is the transaction as it begins.
func (e *Engine) draft(ctx context.Context, def *txnv1.PrepareRequest, open bool) (*transaction, error) {
	data, err := encode(def)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	now := e.now()
	t := newTransaction(e, row{
		definition: data, digest: hex.EncodeToString(sum[:]), token: rand.Text(), created: now, updated: now,
		owner: e.node, epoch: 1, state: txnv1.State_STATE_RUNNING,
	})
	t.fresh = true
	t.row.trace = e.opts.Tracer.Place(ctx) // where its calls go on
	timeout := def.GetSaga().GetTimeout().AsDuration()
	switch {
	case def.GetSaga() != nil:
		t.row.gid, t.row.name, t.row.pattern = def.GetSaga().GetGid(), def.GetSaga().GetName(), txnv1.Pattern_PATTERN_SAGA
	case def.GetTcc() != nil:
		t.row.gid, t.row.name, t.row.pattern = def.GetTcc().GetGid(), def.GetTcc().GetName(), txnv1.Pattern_PATTERN_TCC
	default:
		t.row.gid, t.row.name, t.row.pattern = def.GetTwoPhase().GetGid(), def.GetTwoPhase().GetName(), txnv1.Pattern_PATTERN_TWO_PHASE
	}
	if err := t.define(def); err != nil {
		return nil, bad("%s", err.Error())
	}
	if open {
		t.row.state = txnv1.State_STATE_PREPARED
		if timeout = def.GetTimeout().AsDuration(); timeout <= 0 {
			timeout = e.limits.prepareTimeout.Get()
		}
	}
	if len(t.upfront()) > 0 && (t.saga == nil || !open) {
		t.row.state = txnv1.State_STATE_WAITING
	}
	if timeout > 0 {
		t.row.deadline = now + timeout.Microseconds()
	}
	return t, nil
}
