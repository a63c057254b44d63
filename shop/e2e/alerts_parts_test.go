package e2e

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	framework "github.com/gowarren/warren"
	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/rpc"
	shippingv1 "github.com/gowarren/warren/shop/api/shop/shipping/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
	"github.com/gowarren/warren/txn/barrier"
)

// parts are those of two-phase commits that one service prepares, on a PostgreSQL,
// and the coordinator who is to decide them.
type parts struct {
	*bed
	*member
	coordinator txnv1.CoordinatorServiceClient
	service     shippingv1.ShippingServiceClient
}

const ledger, part = "ledger", "cancel"

// parts starts the service. Each of its parts adds a row.
func (b *bed) parts(coordinator txnv1.CoordinatorServiceClient) *parts {
	address := storetest.PostgreSQL(b.t)
	b.t.Cleanup(func() { rollBackAll(b.t, address) }) // a database with something prepared cannot be dropped
	var rows atomic.Int64
	d := &haulier{}
	p := &parts{bed: b, coordinator: coordinator, service: b.stranger()}
	p.member = b.start(ledger, "txn.barrier.audit: 200ms", func(ctx context.Context, app *framework.App, m *member) (err error) {
		app.Participate(framework.Participation{Barrier: barrier.Options{TwoPhase: true}})
		shippingv1.RegisterShippingServiceServer(app, d)
		m.db, err = app.Database(ctx, oneTable)
		return err
	}, "--database", address)
	d.now(func(ctx context.Context) error {
		return p.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO things (id) VALUES (?)`, rows.Add(1))
			return err
		})
	})
	return p
}

func rollBackAll(t *testing.T, address string) {
	ctx := context.Background()
	db, err := store.Open(ctx, address, store.Options{})
	if err != nil {
		t.Error(err)
		return
	}
	defer db.Close()
	list, err := db.Prepared(ctx)
	for _, one := range list {
		err = errors.Join(err, db.RollbackPrepared(ctx, one.Name))
	}
	if err != nil {
		t.Error(err)
	}
}

// prepare has the service prepare a part.
func (p *parts) prepare(branch *txnv1.Branch) error {
	ctx, err := barrier.Outgoing(rpc.ToService(p.t.Context(), ledger), branch)
	if err == nil {
		_, err = p.service.CancelShipment(ctx, &shippingv1.CancelShipmentRequest{ShipmentId: branch.GetGid()})
	}
	if errors.Is(err, rpc.Reason(txnv1.Reason_TRANSACTION_ABORTED)) { // it was prepared before, and the answer was lost
		return nil
	}
	return err
}

// open opens a transaction of which one part is prepared, and leaves it so.
func (p *parts) open(gid string) {
	ctx := p.t.Context()
	p.must("open a two-phase commit", func() error {
		_, err := p.coordinator.Prepare(ctx, &txnv1.PrepareRequest{
			Transaction: &txnv1.PrepareRequest_TwoPhase{TwoPhase: &txnv1.Open{Gid: gid, Name: "transfer"}}, Timeout: durationpb.New(time.Hour),
		})
		if err != nil {
			return err
		}
		registered, err := p.coordinator.Register(ctx, &txnv1.RegisterRequest{
			Gid: gid, Branch: part, Method: shippingv1.ShippingService_CancelShipment_FullMethodName, Service: ledger,
		})
		if err != nil {
			return err
		}
		return p.prepare(registered.GetBranch())
	})
}

// endByHand rolls a part back in the database.
func (p *parts) endByHand(gid string) error {
	var name string
	err := p.db.QueryRow(p.t.Context(), `SELECT name FROM warren_prepared WHERE gid = ?`, gid).Scan(&name)
	if err == nil {
		err = p.db.RollbackPrepared(p.t.Context(), name)
	}
	if errors.Is(err, store.ErrNotPrepared) { // it was ended before, and the answer was lost
		return nil
	}
	return err
}

// waits: whoever opened the transaction is gone, and nothing is decided.
func (p *parts) waits() {
	ctx := p.t.Context()
	p.hold(fault{[]expected{alarm("PreparedTooLong", "service", ledger)}, func() (func(), error) {
		p.open("undecided")
		n, err := p.db.Exec(ctx, `UPDATE warren_prepared SET created_at = created_at - ? WHERE gid = 'undecided'`, (10 * time.Minute).Microseconds())
		if err == nil && n != 1 {
			err = fmt.Errorf("%d parts are older now", n)
		}
		return func() {
			p.must("abort the transaction", func() error {
				_, err := p.coordinator.Abort(ctx, &txnv1.AbortRequest{Gid: "undecided", Reason: "a test"})
				return err
			})
		}, err
	}})
}

// isOrphan: the coordinator's database was set back to before the transaction.
func (p *parts) isOrphan() {
	p.hold(fault{[]expected{alarm("TransactionOrphans")}, func() (func(), error) {
		p.must("prepare a part", func() error {
			return p.prepare(&txnv1.Branch{Gid: "forgotten", Branch: part, Op: txnv1.Op_OP_PREPARE, Epoch: 1})
		})
		return func() { p.must("roll the orphan back", func() error { return p.endByHand("forgotten") }) }, nil
	}})
}

// isLost: somebody rolls a part back by hand before it is decided that the
// transaction takes place. It is parked, until somebody has looked at it.
func (p *parts) isLost() {
	ctx := p.t.Context()
	both := []expected{alarm("PreparedLost", "service", ledger), alarm("TransactionsParked", "service", "coordinator")}
	p.hold(fault{both, func() (func(), error) {
		p.open("lost")
		p.must("roll a part back", func() error { return p.endByHand("lost") })
		p.must("commit", func() error {
			_, err := p.coordinator.Commit(ctx, &txnv1.CommitRequest{Gid: "lost"})
			return err
		})
		return func() { p.skip("lost", part) }, nil
	}})
}

// skip has an operator take a branch for done.
func (b *bed) skip(gid, branch string) {
	b.must("skip the step", func() error {
		request := &txnv1.SkipRequest{Gid: gid, Branch: branch, By: &txnv1.By{Reason: "a test"}}
		err := b.sys.Client().Invoke(b.sys.As(b.t.Context(), "root", "operator"), txnv1.OperatorService_Skip_FullMethodName, request, &txnv1.Transaction{})
		if status.Code(err) == codes.FailedPrecondition { // it was skipped before, and the answer was lost
			return nil
		}
		return err
	})
}
