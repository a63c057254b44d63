package txn

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/txn/barrier"
)

// localBranch is the local transaction, as the barrier notes it.
const localBranch = "local"

// Message runs the function in a transaction of the database, and the saga if,
// and only if, that is committed: both or none, without a table that is polled.
// It returns when the local transaction has ended; the saga then begins by
// itself, also when the service dies in that moment. [Wait] waits for it.
//
// The coordinator is told of the saga first. When it does not hear how the local
// transaction ended it asks the service, where the barrier of the database has
// noted it. Within a [store.Joinable] transaction the end is that one's end.
//
// With an [ID] it takes place once: the function is not run again where it was
// committed before.
func Message(ctx context.Context, app interface {
	grpc.ClientConnInterface
	Service() string
}, db *store.DB, saga *Saga, local func(ctx context.Context, tx *store.Tx) error) error {
	if err := saga.Check(); err != nil {
		return err
	}
	if err := barrier.Migrate(ctx, db); err != nil { // cheap where an app has done so
		return fmt.Errorf("prepare saga %s: %w", saga.ID(), err)
	}
	t := &trying{coordinator: txnv1.NewCoordinatorServiceClient(app), id: saga.ID()}
	got, err := t.coordinator.Prepare(ctx, &txnv1.PrepareRequest{
		Transaction: &txnv1.PrepareRequest_Saga{Saga: saga.message()},
		Check:       &txnv1.Check{Service: app.Service(), Branch: localBranch, Database: db.Name()},
	})
	switch {
	case err != nil:
		return fmt.Errorf("prepare saga %s: %w", t.id, err)
	case got.GetState() == txnv1.State_STATE_FAILED:
		return failureOf(got)
	case got.GetState() != txnv1.State_STATE_PREPARED:
		return nil // its local transaction was committed before
	}
	return t.local(ctx, db, local)
}

func (t *trying) local(ctx context.Context, db *store.DB, local func(context.Context, *store.Tx) error) error {
	// What the function said last. Only then is it known that nothing was
	// committed; of any other error the coordinator asks what it means.
	var refused error
	err := db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if refused = barrier.Local(ctx, tx, t.id, localBranch); refused != nil {
			return refused
		}
		if refused = local(ctx, tx); refused != nil {
			return refused
		}
		tx.AfterCommit(func() { t.begin(ctx) })
		return nil
	})
	switch {
	case errors.Is(refused, barrier.ErrDone):
		t.begin(ctx)
		return nil
	case errors.Is(refused, barrier.ErrBarred):
		return &Failure{ID: t.id, Cause: rpc.FromError(refused)}
	case refused != nil:
		_, _ = t.abort(ctx, refused) // unheard, it is asked about
	}
	return err
}

// begin tells the coordinator that the local transaction is committed. Should it
// not hear of it, it asks.
func (t *trying) begin(ctx context.Context) {
	decide, cancel := context.WithTimeout(context.WithoutCancel(ctx), decideWithin)
	defer cancel()
	_, _ = t.coordinator.Commit(decide, &txnv1.CommitRequest{Gid: t.id})
}
