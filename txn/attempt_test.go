package txn_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/txn"
	fairv1 "github.com/gowarren/warren/txn/internal/testpb/fair/v1"
)

// pay tries to take so much of ada's money.
func pay(ctx context.Context, try *txn.Attempt, id string, amount int64) error {
	_, err := fairv1.NewPurseServiceClient(try).Hold(ctx, &fairv1.HoldRequest{Id: id, Purse: "ada", Amount: amount})
	return err
}

func TestTCCMistakes(t *testing.T) {
	m := newMarket(t)
	tests := map[string]struct {
		try  func(context.Context, *txn.Attempt) error
		want string
	}{
		"nothing confirms it": {func(ctx context.Context, try *txn.Attempt) error {
			_, err := fairv1.NewPurseServiceClient(try).Give(ctx, &fairv1.GiveRequest{Purse: "eve", Amount: 5})
			return err
		}, "/fair.v1.PurseService/Give cannot be tried; name its confirm and cancel methods in its contract"},
		"two of one name": {func(ctx context.Context, try *txn.Attempt) error {
			return errors.Join(pay(ctx, try, "a", 5), pay(ctx, try, "b", 5))
		}, `there is a step of that name; give each its own with Named, such as "hold-2"`},
		"stream": {func(ctx context.Context, try *txn.Attempt) error {
			_, err := fairv1.NewPurseServiceClient(try).Watch(ctx, &fairv1.WatchRequest{})
			return err
		}, "it streams, so it cannot be a step"},
		"a call went wrong, and nobody cares": {func(ctx context.Context, try *txn.Attempt) error {
			_ = pay(ctx, try.Named("small"), "c", 5)
			_ = pay(ctx, try.Named("large"), "d", 5000)
			return nil
		}, "step large: TOO_POOR"},
		"the function says no": {func(ctx context.Context, try *txn.Attempt) error {
			return errors.Join(pay(ctx, try, "e", 5), errors.New("changed my mind"))
		}, "changed my mind"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := txn.TCC(t.Context(), m, "payment", tt.try)
			if _, failed := errors.AsType[*txn.Failure](err); !failed || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
			m.want(t, untouched)
		})
	}
	err := txn.TCC(t.Context(), m, "Pay/ment", nil)
	if err == nil || !strings.Contains(err.Error(), "is no name for transactions") {
		t.Errorf("bad name: %v", err)
	}
}

func TestTCCTakesPlaceOnce(t *testing.T) {
	m := newMarket(t)
	runs := 0
	for range 2 {
		err := txn.TCC(t.Context(), m, "payment", func(ctx context.Context, try *txn.Attempt) error {
			runs++
			price, err := fairv1.NewStallServiceClient(try).Price(ctx, &fairv1.PriceRequest{Quantity: 2}) // no step: it changes nothing
			if err != nil {
				return err
			}
			return errors.Join(pay(ctx, try.Named("one"), "1", price.GetAmount()), pay(ctx, try.Named("two"), "2", 4))
		}, txn.ID("1"))
		if err != nil {
			t.Fatal(err)
		}
	}
	if runs != 1 {
		t.Errorf("tried %d times", runs)
	}
	m.want(t, strings.Replace(untouched, "ada: 100 free, 0 reserved, 0 gone", "ada: 90 free, 0 reserved, 10 gone", 1))
}

func TestTCCThatPanicsIsCancelled(t *testing.T) {
	m := newMarket(t)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = txn.TCC(t.Context(), m, "payment", func(ctx context.Context, try *txn.Attempt) error {
			if err := pay(ctx, try, "1", 10); err != nil {
				return err
			}
			panic("at the disco")
		}, txn.ID("1"))
	}()
	if _, err := txn.Wait(t.Context(), m, "payment/1"); err == nil {
		t.Error("it took place")
	}
	m.want(t, untouched)
}

// TestTCCWhoseInitiatorDiesIsCancelled: scenario 34. The coordinator hears
// neither Commit nor Abort.
func TestTCCWhoseInitiatorDiesIsCancelled(t *testing.T) {
	m := newMarket(t)
	app := &cut{ClientConnInterface: m, method: txnv1.CoordinatorService_Commit_FullMethodName}
	err := txn.TCC(t.Context(), app, "payment", func(ctx context.Context, try *txn.Attempt) error {
		return pay(ctx, try, "1", 10)
	}, txn.ID("1"))
	if !errors.Is(err, txn.ErrUnfinished) {
		t.Fatalf("nobody knows yet, but: %v", err)
	}
	_, err = txn.Wait(t.Context(), m, "payment/1")
	if _, failed := errors.AsType[*txn.Failure](err); !failed {
		t.Errorf("got %v", err)
	}
	m.want(t, untouched)
}

func TestTryAfterTheDecisionIsRefused(t *testing.T) {
	m := newMarket(t)
	var kept *txn.Attempt
	err := txn.TCC(t.Context(), m, "payment", func(ctx context.Context, try *txn.Attempt) error {
		kept = try
		return pay(ctx, try, "1", 10)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := pay(t.Context(), kept.Named("late"), "2", 10); err == nil || !strings.Contains(err.Error(), "the transaction is decided") {
		t.Errorf("got %v", err)
	}
}

// slow holds calls of a method up on their way.
type slow struct {
	grpc.ClientConnInterface
	method        string
	begun, goesOn chan struct{}
}

func (s *slow) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	if method == s.method {
		close(s.begun)
		select {
		case <-s.goesOn:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return s.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
}

// TestTCCWaitsForCallsLeftBehind: what is confirmed has succeeded.
func TestTCCWaitsForCallsLeftBehind(t *testing.T) {
	for name, c := range map[string]struct {
		amount int64
		ends   bool // the initiator's time does not
		want   string
	}{
		"that succeed":   {10, true, strings.Replace(untouched, "ada: 100 free, 0 reserved, 0 gone", "ada: 90 free, 0 reserved, 10 gone", 1)},
		"that fail":      {5000, true, untouched},
		"that don't end": {10, false, untouched},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMarket(t)
			app := &slow{ClientConnInterface: m, method: fairv1.PurseService_Hold_FullMethodName, begun: make(chan struct{}), goesOn: make(chan struct{})}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			left := make(chan error, 1)
			err := txn.TCC(ctx, app, "payment", func(_ context.Context, try *txn.Attempt) error {
				go func() { left <- pay(t.Context(), try, "1", c.amount) }()
				<-app.begun
				if c.ends {
					time.AfterFunc(50*time.Millisecond, func() { close(app.goesOn) })
				} else {
					time.AfterFunc(50*time.Millisecond, cancel)
				}
				return nil
			}, txn.ID("1"))
			if c.want == untouched {
				if err == nil {
					t.Error("it took place")
				}
			} else if err != nil {
				t.Error(err)
			}
			if !c.ends {
				close(app.goesOn) // comes after it was cancelled
			}
			<-left
			if _, err := txn.Wait(t.Context(), m, "payment/1"); (err == nil) != (c.want != untouched) {
				t.Error(err)
			}
			m.want(t, c.want)
		})
	}
}

func TestTwoPhaseIsRefusedWhereItCannotBe(t *testing.T) {
	m := newMarket(t)
	err := txn.TwoPhase(t.Context(), m, "payment", func(ctx context.Context, try *txn.Attempt) error {
		return pay(ctx, try, "1", 10)
	})
	if !errors.Is(err, rpc.Reason(txnv1.Reason_TWO_PHASE_UNSUPPORTED)) {
		t.Errorf("got %v", err)
	}
	m.want(t, untouched)
}
