package barrier

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/store"
)

// participant answers the coordinator.
type participant struct {
	txnv1.UnimplementedParticipantServiceServer

	barrier *Barrier
}

// Query implements [txnv1.ParticipantServiceServer].
func (p participant) Query(ctx context.Context, req *txnv1.QueryRequest) (*txnv1.QueryResponse, error) {
	b, err := branchOf(req.GetGid(), req.GetBranch())
	if err != nil {
		return nil, err
	}
	if at := req.GetCreateTime(); at.IsValid() {
		b.Created = at.AsTime()
	}
	list, err := p.barrier.all(ctx)
	if err != nil {
		return nil, err
	}
	asked, result := 0, txnv1.QueryResponse_RESULT_ROLLED_BACK
	for _, db := range list {
		if name := req.GetDatabase(); name != "" && name != db.Name() {
			continue
		}
		asked++
		by, err := ask(ctx, db, b, p.barrier.keep.Get())
		if err != nil {
			return nil, err
		}
		if by == opMessage {
			result = txnv1.QueryResponse_RESULT_COMMITTED
		}
	}
	if asked == 0 {
		return nil, &rpc.Error{Code: codes.NotFound, Message: fmt.Sprintf("the service has no database %q", req.GetDatabase())}
	}
	return &txnv1.QueryResponse{Result: result}, nil
}

// ask finds out who wrote the row of a local transaction: it, or, as it didn't
// come so far, the question itself. Of one whose row may be deleted already nothing is
// known.
func ask(ctx context.Context, db *store.DB, b Branch, keep time.Duration) (by string, err error) {
	err = db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		by = byRollback
		first, err := insert(ctx, tx, b, opMessage, "", byRollback)
		if err == nil && !first {
			by, _, err = done(ctx, tx, b, opMessage, "")
		}
		if err == nil && first && b.forgotten(keep) {
			return tooOld(b, keep)
		}
		return err
	})
	return by, err
}

// Finish implements [txnv1.ParticipantServiceServer].
func (p participant) Finish(ctx context.Context, req *txnv1.FinishRequest) (*txnv1.FinishResponse, error) {
	b, err := branchOf(req.GetGid(), req.GetBranch())
	if err != nil {
		return nil, err
	}
	if err := p.barrier.finish(ctx, b, req.GetDecision() == txnv1.FinishRequest_DECISION_COMMIT); err != nil {
		return nil, err
	}
	return &txnv1.FinishResponse{}, nil
}

// Prepared implements [txnv1.ParticipantServiceServer].
func (p participant) Prepared(ctx context.Context, _ *txnv1.PreparedRequest) (*txnv1.PreparedResponse, error) {
	list, err := p.barrier.prepared(ctx)
	if err != nil {
		return nil, err
	}
	out := &txnv1.PreparedResponse{}
	for _, w := range list {
		one := &txnv1.PreparedResponse_Prepared{Gid: w.gid, Branch: w.branch, Database: w.database}
		if !w.since.IsZero() {
			one.PrepareTime = timestamppb.New(w.since)
		}
		out.Prepared = append(out.Prepared, one)
	}
	return out, nil
}

func branchOf(gid, name string) (Branch, error) {
	b := Branch{GID: gid, Name: name, Op: txnv1.Op_OP_PREPARE}
	if err := b.check(); err != nil {
		return b, &rpc.Error{Code: codes.InvalidArgument, Message: err.Error()}
	}
	return b, nil
}
