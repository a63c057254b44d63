package txntest

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gowarren/warren/txn"
	"github.com/gowarren/warren/txn/internal/fair"
	fairv1 "github.com/gowarren/warren/txn/internal/testpb/fair/v1"
)

// market is the fair at which ada buys apples.
type market struct {
	stall  *fair.Stall
	purses *fair.Purses
}

func open(w *World) (*market, error) {
	stall, err := fair.NewStall(context.Background(), w.Service("stall"), map[string]int64{"apples": 10})
	if err != nil {
		return nil, err
	}
	purses, err := fair.NewPurses(context.Background(), w.Service("purses"), map[string]int64{"ada": 100, "eve": 0})
	return &market{stall, purses}, err
}

func (m *market) state(ctx context.Context) (string, error) {
	stall, err := m.stall.State(ctx)
	if err != nil {
		return "", err
	}
	purses, err := m.purses.State(ctx)
	return stall + purses, err
}

// purchase is a saga with everything in it: steps at once, a pivot, steps after
// it, answers that travel.
func purchase(opts ...txn.StepOption) *txn.Saga {
	s := txn.NewSaga("purchase", txn.ID("1"), txn.Lock("ada", -1))
	reserve := s.Step("reserve", fairv1.StallService_Reserve_FullMethodName, &fairv1.ReserveRequest{Id: "1", Goods: "apples", Quantity: 4}, opts...)
	hold := s.Step("hold", fairv1.PurseService_Hold_FullMethodName, &fairv1.HoldRequest{Id: "1", Purse: "ada", Amount: 12}, txn.After())
	s.Step("confirm", fairv1.StallService_Confirm_FullMethodName, &fairv1.ConfirmRequest{Id: "1"}, txn.After(reserve, hold), txn.Pivot())
	s.Step("capture", fairv1.PurseService_Capture_FullMethodName, &fairv1.CaptureRequest{Id: "1"}, txn.Bind("voucher", hold, "voucher"))
	s.Step("give", fairv1.PurseService_Give_FullMethodName, &fairv1.GiveRequest{Purse: "eve", Amount: 12})
	return s
}

func TestSoundSagaPasses(t *testing.T) {
	Run(t, func(t testing.TB, w *World) Case {
		m, err := open(w)
		if err != nil {
			t.Fatal(err)
		}
		return Case{Saga: func() *txn.Saga { return purchase() }, State: m.state}
	})
}

// verdicts runs all trials, and returns what is wrong by the trial's name.
func verdicts(t *testing.T, setup Setup) map[string]string {
	t.Helper()
	out := map[string]string{}
	found, err := explore(t, setup)
	if err != nil {
		out["succeeds"] = err.Error()
		return out
	}
	for _, one := range found.trials() {
		if _, err := one.run(t, setup); err != nil {
			out[one.name] = err.Error()
		}
	}
	return out
}

// wants checks that certain trials found something, and what.
func wants(t *testing.T, got map[string]string, want map[string]string) {
	t.Helper()
	for name, text := range want {
		if !strings.Contains(got[name], text) {
			t.Errorf("%s: got %q, want …%s…", name, got[name], text)
		}
	}
	if t.Failed() {
		for name, text := range got {
			t.Logf("%s: %s", name, text)
		}
	}
}

// careless is a participant with a purse in memory: it has no database, so no
// barrier, and takes the money whenever it is asked.
type careless struct {
	fairv1.UnimplementedPurseServiceServer
	left atomic.Int64
}

func (c *careless) Hold(_ context.Context, r *fairv1.HoldRequest) (*fairv1.HoldResponse, error) {
	c.left.Add(-r.GetAmount())
	return &fairv1.HoldResponse{}, nil
}

func (c *careless) Void(context.Context, *fairv1.VoidRequest) (*fairv1.VoidResponse, error) {
	c.left.Add(12)
	return &fairv1.VoidResponse{}, nil
}

func TestParticipantThatCountsTwiceIsFound(t *testing.T) {
	got := verdicts(t, func(t testing.TB, w *World) Case {
		c := &careless{}
		c.left.Store(100)
		fairv1.RegisterPurseServiceServer(w.Service("purses"), c)
		return Case{
			Saga: func() *txn.Saga {
				s := txn.NewSaga("payment", txn.ID("1"))
				s.Step("hold", fairv1.PurseService_Hold_FullMethodName, &fairv1.HoldRequest{Id: "1", Amount: 12})
				s.Step("second", fairv1.PurseService_Hold_FullMethodName, &fairv1.HoldRequest{Id: "2", Amount: 12})
				return s
			},
			State: func(context.Context) (string, error) { return strconv.FormatInt(c.left.Load(), 10), nil },
		}
	})
	wants(t, got, map[string]string{
		"answer lost/hold":                "undisturbed: 76\nnow:         64",
		"done twice/hold":                 "undisturbed: 76\nnow:         64",
		"undone twice/second":             "the saga was undone, and left something behind:\nbefore: 100\nafter:  112",
		"undone before it arrives/second": "left something behind",
		"killed/after action hold":        "did something else than undisturbed",
	})
}

func TestForgottenWayBackIsFound(t *testing.T) {
	got := verdicts(t, func(t testing.TB, w *World) Case {
		m, err := open(w)
		if err != nil {
			t.Fatal(err)
		}
		return Case{State: m.state, Saga: func() *txn.Saga {
			s := txn.NewSaga("purchase", txn.ID("1"))
			s.Step("reserve", fairv1.StallService_Reserve_FullMethodName, &fairv1.ReserveRequest{Id: "1", Goods: "apples", Quantity: 4}, txn.NothingToUndo())
			s.Step("hold", fairv1.PurseService_Hold_FullMethodName, &fairv1.HoldRequest{Id: "1", Purse: "ada", Amount: 12})
			return s
		}}
	})
	wants(t, got, map[string]string{"succeeds": "fails at hold: the saga was undone, and left something behind"})
}

func TestEffectOutsideTheTransactionIsFound(t *testing.T) {
	got := verdicts(t, func(t testing.TB, w *World) Case {
		purses, err := fair.NewPurses(context.Background(), w.Service("purses"), map[string]int64{"ada": 100})
		if err != nil {
			t.Fatal(err)
		}
		var held atomic.Int64
		purses.OnHold = func() { held.Add(1) }
		return Case{
			Saga: func() *txn.Saga {
				s := txn.NewSaga("payment", txn.ID("1"))
				s.Step("hold", fairv1.PurseService_Hold_FullMethodName, &fairv1.HoldRequest{Id: "1", Purse: "ada", Amount: 12})
				return s
			},
			State: func(context.Context) (string, error) { return strconv.FormatInt(held.Load(), 10), nil },
		}
	})
	wants(t, got, map[string]string{"rolled back at first/hold": "undisturbed: 1\nnow:         2"})
}

func TestSagaThatNeverSucceedsIsFound(t *testing.T) {
	got := verdicts(t, func(t testing.TB, w *World) Case {
		m, err := open(w)
		if err != nil {
			t.Fatal(err)
		}
		return Case{State: m.state, Saga: func() *txn.Saga {
			s := txn.NewSaga("purchase", txn.ID("1"))
			s.Step("reserve", fairv1.StallService_Reserve_FullMethodName, &fairv1.ReserveRequest{Id: "1", Goods: "apples", Quantity: 99})
			return s
		}}
	})
	wants(t, got, map[string]string{"succeeds": "step reserve: SOLD_OUT"})
}
