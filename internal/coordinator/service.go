package coordinator

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
)

// service is the engine to the services that submit transactions.
type service struct {
	txnv1.UnimplementedCoordinatorServiceServer
	engine *Engine
}

// Submit takes a saga and begins it.
func (s *service) Submit(ctx context.Context, req *txnv1.SubmitRequest) (*txnv1.Transaction, error) {
	def := &txnv1.PrepareRequest{Transaction: &txnv1.PrepareRequest_Saga{Saga: req.GetSaga()}}
	t, err := s.engine.create(ctx, def, false)
	return s.answer(ctx, t, err, req.GetWait())
}

// Prepare opens a transaction.
func (s *service) Prepare(ctx context.Context, req *txnv1.PrepareRequest) (*txnv1.Transaction, error) {
	t, err := s.engine.create(ctx, req, true)
	if err != nil {
		return nil, err
	}
	if t.GetState() == txnv1.State_STATE_WAITING { // the locks of a TCC are waited for
		return s.engine.await(ctx, t.GetGid(), func(v *txnv1.Transaction) bool { return v.GetState() != txnv1.State_STATE_WAITING })
	}
	return t, nil
}

func (s *service) answer(ctx context.Context, t *txnv1.Transaction, err error, wait bool) (*txnv1.Transaction, error) {
	if err != nil || !wait {
		return t, err
	}
	return s.engine.await(ctx, t.GetGid(), settledView)
}

// Wait answers when the transaction has ended or is parked.
func (s *service) Wait(ctx context.Context, req *txnv1.WaitRequest) (*txnv1.Transaction, error) {
	return s.engine.await(ctx, req.GetGid(), settledView)
}

// Get returns a transaction as it is on disk.
func (s *service) Get(ctx context.Context, req *txnv1.GetRequest) (*txnv1.Transaction, error) {
	return s.engine.read(ctx, req.GetGid(), withBranches)
}

// read returns a transaction as it is on disk.
func (e *Engine) read(ctx context.Context, gid string, much detail) (*txnv1.Transaction, error) {
	list, err := e.load(ctx, e.db, []string{gid})
	switch {
	case err != nil:
		return nil, away(err)
	case len(list) == 0:
		return nil, refused(txnv1.Reason_TRANSACTION_NOT_FOUND, "there is no transaction %q", gid)
	}
	return list[0].view(much), nil
}

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
			e.add(t)
			e.metrics.began.WithLabelValues(t.row.name, patternName(t.row.pattern)).Inc()
			if err := e.fail("created"); err == nil {
				t.written(v)
			}
		}
		result <- v
	}
	e.writer.add(item)
	select {
	case v := <-result:
		return e.created(ctx, t, v)
	case <-ctx.Done():
		return nil, away(ctx.Err())
	}
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
	e.opts.Tracer.Inject(ctx, func(key, value string) {
		if key == "traceparent" && len(value) <= 128 {
			t.row.trace = value
		}
	})
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

// Register adds a branch to an open transaction.
func (s *service) Register(ctx context.Context, req *txnv1.RegisterRequest) (*txnv1.RegisterResponse, error) {
	definition, err := encode(req)
	if err != nil {
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
	about := &txnv1.Branch{Gid: req.GetGid(), Branch: req.GetBranch(), Op: op, Epoch: v.GetEpoch(), Deadline: v.GetDeadline(), CreateTime: v.GetCreateTime()}
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
			t.row.parked = false
			return nil
		}
		if t.row.deadline != 0 && t.e.clock.until(t.row.deadline) <= 0 {
			t.turnBack("", "nobody decided in time", codes.DeadlineExceeded, nil)
			return refused(txnv1.Reason_TRANSACTION_ABORTED, "transaction %q does not take place: nobody decided in time", t.row.gid)
		}
		t.row.state, t.row.deadline, t.row.parked, t.changed = txnv1.State_STATE_RUNNING, 0, false, true
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
	t.row.parked = false
	t.turnBack("", reason, codes.Aborted, nil)
	return nil
}

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

func settledView(v *txnv1.Transaction) bool {
	return v.GetParked() || v.GetState() == txnv1.State_STATE_SUCCEEDED || v.GetState() == txnv1.State_STATE_FAILED
}

// await returns the transaction as soon as it is as wanted, or as it is shortly
// before the deadline of ctx.
func (e *Engine) await(ctx context.Context, gid string, wanted func(*txnv1.Transaction) bool) (*txnv1.Transaction, error) {
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
			if err != nil || wanted(v) {
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
func (t *transaction) look(wanted func(*txnv1.Transaction) bool) (*txnv1.Transaction, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lost || t.dirty() {
		return nil, false
	}
	v := t.view(withBranches)
	return v, wanted(v)
}
