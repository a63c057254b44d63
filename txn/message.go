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
// The coordinator is told of the saga first, unless [Saga.Prepare] did. When it
// does not hear how the local transaction ended it asks the service, where the
// barrier of the database has noted it. Within a [store.Joinable] transaction the
// end is that one's end.
//
// With an [ID] it takes place once: the function is not run again where it was
// committed before.
func Message(ctx context.Context, app interface {
	grpc.ClientConnInterface
	Service() string
}, db *store.DB, saga *Saga, local func(ctx context.Context, tx *store.Tx) error) error {
	if m := saga.prepared; m != nil {
		if m.db != db {
			return fmt.Errorf("saga %s was prepared for database %q, not %q: %w", m.id, m.db.Name(), db.Name(), store.ErrElsewhere)
		}
		return m.run(ctx, local)
	}
	m, err := prepare(ctx, app, db, saga)
	if err != nil {
		return err
	}
	defer m.end(ctx)
	return m.run(ctx, local)
}

// Prepare tells the coordinator of the saga before its [Message], which then calls
// nobody while it is in its transaction: one that it joins holds what it has locked
// for the shorter. That may be begun again, and Message called again with this saga;
// with another database than this one it is refused with [store.ErrElsewhere].
//
// The function that it returns is to be called when that transaction has ended. If
// it surely came to nothing, so does the saga, at once.
func (s *Saga) Prepare(ctx context.Context, app interface {
	grpc.ClientConnInterface
	Service() string
}, db *store.DB) (end func(), err error) {
	m, err := prepare(ctx, app, db, s)
	if err != nil {
		return nil, err
	}
	s.prepared = m
	return func() { m.end(ctx) }, nil
}

// message is a saga that waits for its local transaction.
type message struct {
	*trying
	db    *store.DB
	begun bool // the local transaction is committed
	ran   bool
	// refused is what the function said last. Only then is it known that nothing was
	// committed; of any other error the coordinator asks what it means.
	refused error
}

func prepare(ctx context.Context, app interface {
	grpc.ClientConnInterface
	Service() string
}, db *store.DB, saga *Saga) (*message, error) {
	if err := saga.Check(); err != nil {
		return nil, err
	}
	if err := barrier.Migrate(ctx, db); err != nil { // cheap where an app has done so
		return nil, fmt.Errorf("prepare saga %s: %w", saga.ID(), err)
	}
	m := &message{trying: &trying{coordinator: txnv1.NewCoordinatorServiceClient(app), id: saga.ID()}, db: db}
	got, err := m.coordinator.Prepare(ctx, &txnv1.PrepareRequest{
		Transaction: &txnv1.PrepareRequest_Saga{Saga: saga.message()},
		Check:       &txnv1.Check{Service: app.Service(), Branch: localBranch, Database: db.Name()},
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("prepare saga %s: %w", m.id, err)
	case got.GetState() == txnv1.State_STATE_FAILED:
		return nil, failureOf(got)
	}
	m.begun = got.GetState() != txnv1.State_STATE_PREPARED // it was committed before
	return m, nil
}

func (m *message) run(ctx context.Context, local func(context.Context, *store.Tx) error) error {
	if m.begun {
		return nil
	}
	err := m.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		m.ran = true
		if m.refused = barrier.Local(ctx, tx, m.id, localBranch); m.refused != nil {
			return m.refused
		}
		if m.refused = local(ctx, tx); m.refused != nil {
			return m.refused
		}
		tx.AfterCommit(func() { m.begin(ctx) })
		return nil
	})
	switch {
	case errors.Is(m.refused, barrier.ErrDone):
		m.begin(ctx)
		return nil
	case errors.Is(m.refused, barrier.ErrBarred):
		return &Failure{ID: m.id, Cause: rpc.FromError(m.refused)}
	}
	return err
}

// begin tells the coordinator that the local transaction is committed. Should it
// not hear of it, it asks.
func (m *message) begin(ctx context.Context) {
	m.begun = true
	decide, cancel := context.WithTimeout(context.WithoutCancel(ctx), decideWithin)
	defer cancel()
	_, _ = m.coordinator.Commit(decide, &txnv1.CommitRequest{Gid: m.id})
}

// end has the saga fail if there was no local transaction. Unheard, or where that
// is not known, the coordinator asks.
func (m *message) end(ctx context.Context) {
	switch {
	case m.begun || m.ran && m.refused == nil:
	case m.ran:
		_, _ = m.abort(ctx, m.refused)
	default:
		_, _ = m.abort(ctx, errors.New("its local transaction was not begun"))
	}
}
