package txn_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/store/storetest"
	"github.com/gowarren/warren/txn"
	"github.com/gowarren/warren/txn/internal/fair"
	fairv1 "github.com/gowarren/warren/txn/internal/testpb/fair/v1"
	"github.com/gowarren/warren/txn/txntest"
)

// twoMarkets is a market whose stall is on PostgreSQL, and whose purses are on
// MariaDB, both of which prepare their transactions.
type twoMarkets struct {
	*market
	services [2]*txntest.Service
	lines    [2]*storetest.Line
}

func newTwoMarkets(t *testing.T) *twoMarkets {
	m := &twoMarkets{market: &market{}}
	var through [2]string
	for i, address := range []string{storetest.PostgreSQL(t), storetest.MySQL(t)} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		m.lines[i] = storetest.NewLine(t, u.Host)
		m.lines[i].Connect()
		u.Host = m.lines[i].Address()
		through[i] = u.String()
	}
	m.World = txntest.New(t, func(w *txntest.World) {
		var err, also error
		m.services[0] = w.Service("stall", txntest.OnDatabase(through[0]), txntest.AllowTwoPhase())
		m.services[1] = w.Service("purses", txntest.OnDatabase(through[1]), txntest.AllowTwoPhase())
		m.stall, err = fair.NewStall(t.Context(), m.services[0], map[string]int64{"apples": 10})
		m.purses, also = fair.NewPurses(t.Context(), m.services[1], map[string]int64{"ada": 100, "eve": 0})
		if err = errors.Join(err, also); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { // a database with something prepared cannot be dropped
		for _, l := range m.ledgers() {
			if err := rollBack(context.Background(), l); err != nil {
				t.Error(err)
			}
		}
	})
	return m
}

func (m *twoMarkets) ledgers() []*fair.Ledger { return []*fair.Ledger{m.stall.Ledger, m.purses.Ledger} }

// rollBack ends by hand all that is prepared.
func rollBack(ctx context.Context, l *fair.Ledger) error {
	list, err := l.DB.Prepared(ctx)
	for _, p := range list {
		err = errors.Join(err, l.DB.RollbackPrepared(ctx, p.Name))
	}
	return err
}

// prepared wants so many prepared transactions in each database.
func (m *twoMarkets) prepared(t *testing.T, want int) {
	t.Helper()
	for _, l := range m.ledgers() {
		if list, err := l.DB.Prepared(t.Context()); err != nil || len(list) != want {
			t.Errorf("prepared are %v, %v; want %d", list, err, want)
		}
	}
}

// die has both participants die and come back: what was a connection of theirs
// to the database is gone.
func (m *twoMarkets) die(t *testing.T) {
	t.Helper()
	for i, s := range m.services {
		s.Stop()
		m.lines[i].Cut()
		m.lines[i].Connect()
	}
}

func (m *twoMarkets) live(t *testing.T) {
	t.Helper()
	for _, s := range m.services {
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
	}
}

// buy is a two-phase commit of both; then runs when both are prepared.
func (m *twoMarkets) buy(ctx context.Context, app connection, then func(context.Context) error, opts ...txn.Option) error {
	return txn.TwoPhase(ctx, app, "purchase", func(ctx context.Context, try *txn.Attempt) error {
		if _, err := fairv1.NewStallServiceClient(try).Reserve(ctx, &fairv1.ReserveRequest{Id: "1", Goods: "apples", Quantity: 2}); err != nil {
			return err
		}
		if _, err := fairv1.NewPurseServiceClient(try).Hold(ctx, &fairv1.HoldRequest{Id: "1", Purse: "ada", Amount: 6}); err != nil {
			return err
		}
		return then(ctx)
	}, append(opts, txn.ID("1"))...)
}

type connection interface {
	grpc.ClientConnInterface
	ServiceOf(contract string) (string, error)
}

// mute is an initiator that dies before it tells the coordinator what it decided.
type mute struct {
	cut
	connection
}

func (m *mute) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	return m.cut.Invoke(ctx, method, args, reply, opts...)
}

const bought = "apples: 8 free, 2 reserved, 0 gone; ada: 94 free, 6 reserved, 0 gone; eve: 0 free, 0 reserved, 0 gone; "

func TestTwoPhaseCommits(t *testing.T) {
	m := newTwoMarkets(t)
	err := m.buy(t.Context(), m, func(context.Context) error {
		m.prepared(t, 1)
		m.want(t, untouched) // nobody sees it yet
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	m.want(t, bought)
	m.prepared(t, 0)
}

func TestTwoPhaseAborts(t *testing.T) {
	m := newTwoMarkets(t)
	err := m.buy(t.Context(), m, func(context.Context) error { return errors.New("thought better of it") })
	if failure, failed := errors.AsType[*txn.Failure](err); !failed || !strings.Contains(failure.Error(), "thought better of it") {
		t.Errorf("got %v", err)
	}
	m.want(t, untouched)
	m.prepared(t, 0)
}

// All die after all have prepared, and nothing was decided: presumed abort.
func TestTwoPhaseDiesBeforeTheDecision(t *testing.T) {
	m := newTwoMarkets(t)
	app := &mute{cut: cut{ClientConnInterface: m, method: txnv1.CoordinatorService_Commit_FullMethodName}, connection: m}
	err := m.buy(t.Context(), app, func(ctx context.Context) error {
		m.die(t)
		m.live(t)
		m.prepared(t, 1)
		return m.RestartCoordinator(context.WithoutCancel(ctx))
	})
	if !errors.Is(err, txn.ErrUnfinished) {
		t.Errorf("nobody knows yet, but: %v", err)
	}
	_, err = txn.Wait(t.Context(), m, "purchase/1")
	if _, failed := errors.AsType[*txn.Failure](err); !failed {
		t.Errorf("got %v", err)
	}
	m.want(t, untouched)
	m.prepared(t, 0)
}

// All die after the decision, before anybody heard of it: it is carried out by
// those who come after, everywhere.
func TestTwoPhaseDiesAfterTheDecision(t *testing.T) {
	m := newTwoMarkets(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	err := m.buy(ctx, m, func(context.Context) error {
		m.die(t)
		return nil
	})
	if !errors.Is(err, txn.ErrUnfinished) && !errors.Is(err, txn.ErrParked) && !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("decided, and not carried out: %v", err)
	}
	if err := m.RestartCoordinator(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.prepared(t, 1)
	m.live(t)
	// It may be parked.
	if err := m.Retry(t.Context(), "purchase/1"); err != nil && !errors.Is(err, rpc.Reason(txnv1.Reason_TRANSACTION_ENDED)) {
		t.Fatal(err)
	}
	if _, err := txn.Wait(t.Context(), m, "purchase/1"); err != nil {
		t.Error(err)
	}
	m.want(t, bought)
	m.prepared(t, 0)
}

// What is prepared and was ended by somebody else is lost: a person has to see.
func TestTwoPhaseLostIsParked(t *testing.T) {
	m := newTwoMarkets(t)
	err := m.buy(t.Context(), m, func(ctx context.Context) error { return rollBack(ctx, m.purses.Ledger) })
	if !errors.Is(err, txn.ErrParked) || !strings.Contains(err.Error(), "nothing says that it was committed") {
		t.Errorf("got %v", err)
	}
	m.want(t, strings.Replace(bought, "ada: 94 free, 6 reserved", "ada: 100 free, 0 reserved", 1))
}
