package txn_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/txn"
	fairv1 "github.com/gowarren/warren/txn/internal/testpb/fair/v1"
)

const untouched = "apples: 10 free, 0 reserved, 0 gone; ada: 100 free, 0 reserved, 0 gone; eve: 0 free, 0 reserved, 0 gone; "

func (m *market) want(t *testing.T, want string) {
	t.Helper()
	if got := m.state(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// payment takes so much of ada's money, once.
func payment(id string, amount int64, opts ...txn.Option) *txn.Saga {
	s := txn.NewSaga("payment", append(opts, txn.ID(id))...)
	s.Step("hold", hold, &fairv1.HoldRequest{Id: id, Purse: "ada", Amount: amount})
	s.Step("capture", capture, &fairv1.CaptureRequest{Id: id}, txn.Pivot())
	return s
}

func TestSagaAnswersTravel(t *testing.T) {
	m := newMarket(t)
	s := txn.NewSaga("purchase", txn.ID("1"))
	from := s.Step("reserve", reserve, &fairv1.ReserveRequest{Id: "1", Goods: "apples", Quantity: 1})
	s.Step("hold", hold, &fairv1.HoldRequest{Id: "1", Purse: "ada"},
		txn.Bind("place", from, "place"), txn.Bind("notes", from, "place.neighbours"), txn.Bind("voucher", from, "shelf"))
	got, err := s.Run(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	answer := &fairv1.ReserveResponse{}
	if err := got.Read("reserve", answer); err != nil || answer.GetPlace().GetRow() != 7 {
		t.Errorf("got %v, %v", answer, err)
	}
	for want, err := range map[string]error{
		"it is fair.v1.HoldResponse, not fair.v1.ReserveResponse":  got.Read("hold", answer),
		`the transaction purchase/1 has no such step`:              got.Read("ship", answer),
		"read the answer of step ship: the transaction purchase/1": got.Read("ship", answer),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	held := m.purses.LastHold()
	if held.GetVoucher() != "shelf of apples" || held.GetPlace().GetRow() != 7 || strings.Join(held.GetNotes(), " ") != "pears" {
		t.Errorf("hold was asked for %v", held)
	}
}

func TestSagaIsOneHoweverOftenItIsSubmitted(t *testing.T) {
	m := newMarket(t)
	for range 3 {
		if err := payment("1", 10).Submit(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := txn.Wait(t.Context(), m, "payment/1"); err != nil {
		t.Fatal(err)
	}
	if _, err := payment("1", 10).Run(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if err := payment("1", 11).Submit(t.Context(), m); !errors.Is(err, rpc.Reason(txnv1.Reason_TRANSACTION_EXISTS)) {
		t.Errorf("another saga under the same id: %v", err)
	}
	m.want(t, strings.Replace(untouched, "ada: 100 free, 0 reserved, 0 gone", "ada: 90 free, 0 reserved, 10 gone", 1))
}

func TestFailureSaysWhichStepAndWhy(t *testing.T) {
	m := newMarket(t)
	_, err := payment("1", 1000).Run(t.Context(), m)
	failure, ok := errors.AsType[*txn.Failure](err)
	if !ok || failure.ID != "payment/1" || failure.Step != "hold" || failure.Cause.Code != codes.FailedPrecondition {
		t.Fatalf("got %v", err)
	}
	if !errors.Is(err, rpc.Reason(fairv1.Reason_TOO_POOR)) || rpc.FromError(err).Reason != "TOO_POOR" {
		t.Errorf("the reason is lost: %v", err)
	}
	m.want(t, untouched)
}

func TestStuckSagaIsParked(t *testing.T) {
	m := newMarket(t)
	s := payment("1", 10)
	s.Step("give", give, &fairv1.GiveRequest{Purse: "nobody", Amount: 10}) // fails after the pivot
	_, err := s.Run(t.Context(), m)
	if !errors.Is(err, txn.ErrParked) || !strings.Contains(err.Error(), "nobody here is called nobody") {
		t.Fatalf("got %v", err)
	}
	m.want(t, strings.Replace(untouched, "ada: 100 free, 0 reserved, 0 gone", "ada: 90 free, 0 reserved, 10 gone", 1))
}

func TestWaitEndsWithTheContext(t *testing.T) {
	m := newMarket(t)
	release := make(chan struct{})
	m.purses.OnHold = func() { <-release }
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := payment("1", 10).Run(ctx, m)
	if !errors.Is(err, txn.ErrUnfinished) && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	close(release)
	if _, err := txn.Wait(t.Context(), m, "payment/1"); err != nil {
		t.Error(err)
	}
	if _, err := txn.Wait(t.Context(), m, "payment/unknown"); !errors.Is(err, rpc.Reason(txnv1.Reason_TRANSACTION_NOT_FOUND)) {
		t.Errorf("unknown: %v", err)
	}
}

func TestDeadlineTurnsASagaBack(t *testing.T) {
	m := newMarket(t)
	release := make(chan struct{})
	m.purses.OnHold = func() { <-release }
	s := txn.NewSaga("payment", txn.ID("1"), txn.Deadline(200*time.Millisecond))
	s.Step("reserve", reserve, &fairv1.ReserveRequest{Id: "1", Goods: "apples", Quantity: 1})
	s.Step("hold", hold, &fairv1.HoldRequest{Id: "1", Purse: "ada", Amount: 10}, txn.Timeout(400*time.Millisecond), txn.Attempts(1000))
	if err := s.Submit(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	coordinator := txnv1.NewCoordinatorServiceClient(m)
	for state := txnv1.State_STATE_RUNNING; state == txnv1.State_STATE_RUNNING; {
		got, err := coordinator.Get(t.Context(), &txnv1.GetRequest{Gid: s.ID()})
		if err != nil {
			t.Fatal(err)
		}
		state = got.GetState()
	}
	close(release) // not before it has turned back
	_, err := txn.Wait(t.Context(), m, s.ID())
	if failure, failed := errors.AsType[*txn.Failure](err); !failed || failure.Cause.Code != codes.DeadlineExceeded {
		t.Errorf("got %v", err)
	}
	m.want(t, untouched)
}

// TestBackoffOfAStep: the step has its own pauses, whatever the settings are.
func TestBackoffOfAStep(t *testing.T) {
	m := newMarket(t)
	m.purses.OnHold = func() { panic("always") }
	s := txn.NewSaga("payment", txn.ID("1"))
	s.Step("hold", hold, &fairv1.HoldRequest{Id: "1", Purse: "ada", Amount: 10}, txn.Backoff(time.Hour, 24*time.Hour))
	if err := s.Submit(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	coordinator := txnv1.NewCoordinatorServiceClient(m)
	for {
		got, err := coordinator.Get(t.Context(), &txnv1.GetRequest{Gid: s.ID()})
		if err != nil {
			t.Fatal(err)
		}
		// By the settings, within the 20 ms that pauses last at most in a test.
		if next := got.GetBranches()[0].GetNextAttempt(); next != nil {
			if left := time.Until(next.AsTime()); left < time.Second {
				t.Errorf("it is called again in %v", left)
			}
			return
		}
	}
}

func TestLockedSagasDoNotOverlap(t *testing.T) {
	m := newMarket(t)
	held, release := make(chan struct{}), make(chan struct{})
	var once atomic.Bool
	m.purses.OnHold = func() {
		if !once.Swap(true) {
			close(held)
			<-release
		}
	}
	if err := payment("1", 10, txn.Lock("ada", 0)).Submit(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	<-held
	_, err := payment("2", 10, txn.Lock("ada", 0)).Run(t.Context(), m)
	if !errors.Is(err, rpc.Reason(txnv1.Reason_LOCK_HELD)) {
		t.Errorf("the lock is held: %v", err)
	}
	if err := payment("3", 10, txn.Lock("ada", -1)).Submit(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	close(release)
	for _, id := range []string{"payment/1", "payment/3"} {
		if _, err := txn.Wait(t.Context(), m, id); err != nil {
			t.Error(err)
		}
	}
	m.want(t, strings.Replace(untouched, "ada: 100 free, 0 reserved, 0 gone", "ada: 80 free, 0 reserved, 20 gone", 1))
}

// cut is a service whose calls of one method do not arrive.
type cut struct {
	grpc.ClientConnInterface
	method string
	lost   atomic.Int64
}

func (c *cut) Service() string { return "orders" }

func (c *cut) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	if method == c.method {
		c.lost.Add(1)
		return status.Error(codes.Unavailable, "cut by the test")
	}
	return c.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
}

func TestMessageIsAsked(t *testing.T) {
	m := newMarket(t)
	app := &cut{ClientConnInterface: m.orders, method: txnv1.CoordinatorService_Commit_FullMethodName}
	runs := 0
	take := func(ctx context.Context, tx *store.Tx) error {
		runs++
		_, err := tx.Exec(ctx, `UPDATE things SET free = free - 1`)
		return err
	}
	for range 2 { // the second time it is known
		if err := txn.Message(t.Context(), app, m.ledger.DB, payment("1", 10), take); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := txn.Wait(t.Context(), m, "payment/1"); err != nil {
		t.Fatal(err)
	}
	if err := txn.Message(t.Context(), app, m.ledger.DB, payment("1", 10), take); err != nil {
		t.Fatal(err)
	}
	if runs != 1 || app.lost.Load() == 0 {
		t.Errorf("the local transaction was run %d times, %d calls were lost", runs, app.lost.Load())
	}
	m.want(t, strings.Replace(untouched, "ada: 100 free, 0 reserved, 0 gone", "ada: 90 free, 0 reserved, 10 gone", 1))
}

// TestMessageWaitsForTheTransactionAround: within a joinable transaction, that
// one's end decides.
func TestMessageWaitsForTheTransactionAround(t *testing.T) {
	m := newMarket(t)
	refused := errors.New("refused later")
	around := func(id string, end error) error {
		return m.ledger.DB.InTx(t.Context(), func(ctx context.Context, _ *store.Tx) error {
			err := txn.Message(ctx, m.orders, m.ledger.DB, payment(id, 10), func(ctx context.Context, tx *store.Tx) error {
				_, err := tx.Exec(ctx, `UPDATE things SET free = free - 1`)
				return err
			})
			return errors.Join(err, end)
		}, store.Joinable)
	}
	if err := around("1", refused); !errors.Is(err, refused) {
		t.Fatal(err)
	}
	if err := around("2", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := txn.Wait(t.Context(), m, "payment/2"); err != nil {
		t.Error(err)
	}
	_, err := txn.Wait(t.Context(), m, "payment/1") // asked about after a while
	if _, failed := errors.AsType[*txn.Failure](err); !failed {
		t.Errorf("the local transaction was rolled back: %v", err)
	}
	m.want(t, strings.Replace(untouched, "ada: 100 free, 0 reserved, 0 gone", "ada: 90 free, 0 reserved, 10 gone", 1))
}

// TestPreparedMessageCallsNobodyInItsTransaction: what is prepared before needs the
// coordinator no more while the transaction around holds its locks, and bears that
// one's repetition.
func TestPreparedMessageCallsNobodyInItsTransaction(t *testing.T) {
	m := newMarket(t)
	app := &counted{cut: cut{ClientConnInterface: m.orders}}
	take := func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE things SET free = free - 1`)
		return err
	}
	// around runs the saga's message within transactions that end like that.
	around := func(saga *txn.Saga, ends ...error) {
		t.Helper()
		end, err := saga.Prepare(t.Context(), app, m.ledger.DB)
		if err != nil {
			t.Fatal(err)
		}
		defer end()
		for _, want := range ends {
			err := m.ledger.DB.InTx(t.Context(), func(ctx context.Context, _ *store.Tx) error {
				calls := app.calls.Load()
				err := txn.Message(ctx, app, m.ledger.DB, saga, func(ctx context.Context, tx *store.Tx) error {
					return errors.Join(take(ctx, tx), want)
				})
				if now := app.calls.Load(); now != calls {
					t.Errorf("%d calls in the transaction", now-calls)
				}
				return err
			}, store.Joinable)
			if !errors.Is(err, want) {
				t.Fatalf("got %v; want %v", err, want)
			}
		}
	}
	refused := errors.New("refused")
	around(payment("1", 10), refused, nil)
	around(payment("2", 10), refused)
	around(payment("3", 10)) // not even begun
	if _, err := txn.Wait(t.Context(), m, "payment/1"); err != nil {
		t.Error(err)
	}
	for _, id := range []string{"payment/2", "payment/3"} {
		_, err := txn.Wait(t.Context(), m, id)
		if _, failed := errors.AsType[*txn.Failure](err); !failed {
			t.Errorf("%s has no local transaction: %v", id, err)
		}
	}
	m.want(t, strings.Replace(untouched, "ada: 100 free, 0 reserved, 0 gone", "ada: 90 free, 0 reserved, 10 gone", 1))
}

// TestPreparedMessageStaysInItsDatabase: elsewhere the coordinator would not find it.
func TestPreparedMessageStaysInItsDatabase(t *testing.T) {
	m := newMarket(t)
	saga := payment("1", 10)
	end, err := saga.Prepare(t.Context(), m.orders, m.ledger.DB)
	if err != nil {
		t.Fatal(err)
	}
	err = txn.Message(t.Context(), m.orders, m.stall.DB, saga, func(context.Context, *store.Tx) error {
		t.Error("it is in another database")
		return nil
	})
	if !errors.Is(err, store.ErrElsewhere) {
		t.Errorf("got %v", err)
	}
	end()
	_, err = txn.Wait(t.Context(), m, "payment/1")
	if _, failed := errors.AsType[*txn.Failure](err); !failed {
		t.Errorf("got %v", err)
	}
	m.want(t, untouched)
}

// counted is a service whose calls are counted.
type counted struct {
	cut
	calls atomic.Int64
}

func (c *counted) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	c.calls.Add(1)
	return c.cut.Invoke(ctx, method, args, reply, opts...)
}
