package coordinator

import (
	"context"

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
		return s.engine.await(ctx, t.GetGid(), func(state txnv1.State, _ bool) bool { return state != txnv1.State_STATE_WAITING })
	}
	return t, nil
}

func (s *service) answer(ctx context.Context, t *txnv1.Transaction, err error, wait bool) (*txnv1.Transaction, error) {
	if err != nil || !wait {
		return t, err
	}
	return s.engine.await(ctx, t.GetGid(), settled)
}

// Wait answers when the transaction has ended or is parked.
func (s *service) Wait(ctx context.Context, req *txnv1.WaitRequest) (*txnv1.Transaction, error) {
	return s.engine.await(ctx, req.GetGid(), settled)
}

// Get returns a transaction as it is on disk.
func (s *service) Get(ctx context.Context, req *txnv1.GetRequest) (*txnv1.Transaction, error) {
	return s.engine.read(ctx, req.GetGid(), withBranches)
}

// read returns a transaction as it is on disk.
func (e *Engine) read(ctx context.Context, gid string, much detail) (*txnv1.Transaction, error) {
	t, err := e.find(ctx, gid)
	if err != nil {
		return nil, err
	}
	return t.view(much), nil
}

// find reads a transaction, whoever owns it.
func (e *Engine) find(ctx context.Context, gid string) (*transaction, error) {
	list, err := e.load(ctx, e.db, []string{gid})
	switch {
	case err != nil:
		return nil, away(err)
	case len(list) == 0:
		return nil, refused(txnv1.Reason_TRANSACTION_NOT_FOUND, "there is no transaction %q", gid)
	}
	return list[0], nil
}
