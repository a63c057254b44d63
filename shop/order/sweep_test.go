package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/rpc"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	"github.com/gowarren/warren/warrentest"
)

// memory stands for the coordinator: what it says has become of checkouts.
type memory struct {
	txnv1.CoordinatorServiceClient

	states map[string]txnv1.State // by gid
	asked  map[string]int
	away   bool
}

func (m *memory) Get(_ context.Context, req *txnv1.GetRequest, _ ...grpc.CallOption) (*txnv1.Transaction, error) {
	m.asked[req.GetGid()]++
	state, known := m.states[req.GetGid()]
	switch {
	case m.away:
		return nil, rpc.Errorf(txnv1.Reason_STORE_UNAVAILABLE, "the database of the coordinator is away")
	case !known:
		return nil, rpc.Errorf(txnv1.Reason_TRANSACTION_NOT_FOUND, "there is no %s", req.GetGid())
	}
	return &txnv1.Transaction{Gid: req.GetGid(), State: state}, nil
}

func TestOrdersThatAreLeftOverAreRejected(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *orders) {
		settings, err := config.New(config.Options{})
		must(t, err)
		t.Cleanup(settings.Close)
		m := &memory{states: map[string]txnv1.State{}, asked: map[string]int{}}
		now := noon.Add(time.Hour)
		w := &sweep{
			process: &process{orders: s, now: func() time.Time { return now }}, coordinator: m,
			settings: watchSettings(settings), log: slog.New(slog.DiscardHandler),
		}
		keep := func(at time.Time, state txnv1.State) string {
			id := s.keep(t, "ada", at).id
			if state != 0 {
				m.states[checkoutID(id)] = state
			}
			return id
		}
		wants := map[string]orderv1.State{
			keep(noon, txnv1.State_STATE_RUNNING):                   orderv1.State_PLACED,
			keep(noon, txnv1.State_STATE_UNDOING):                   orderv1.State_PLACED,
			keep(noon, 0):                                           orderv1.State_PLACED, // forgotten
			keep(now.Add(-time.Second), txnv1.State_STATE_FAILED):   orderv1.State_PLACED, // too young
			keep(now.Add(-2*time.Minute), txnv1.State_STATE_FAILED): orderv1.State_REJECTED,
		}
		for i := range batch {
			wants[keep(noon.Add(time.Duration(i)*time.Second), txnv1.State_STATE_FAILED)] = orderv1.State_REJECTED
		}
		m.away = true
		if _, err := w.look(t.Context(), ""); err == nil {
			t.Error("the coordinator is away, and nobody says so")
		}
		m.away = false
		for after, first := "", true; first || after != ""; first = false {
			after, err = w.look(t.Context(), after)
			must(t, err)
		}
		for id, want := range wants {
			o, err := s.get(t.Context(), id)
			if err != nil || o.state != want || want == orderv1.State_REJECTED && o.reason != unarranged {
				t.Errorf("order of %s is %v, %v; want %v", o.created, o, err, want)
			}
		}
		var told int
		must(t, s.all.Databases()[0].QueryRow(t.Context(), `SELECT COUNT(*) FROM warren_outbox WHERE topic = ?`, "shop.order.v1.OrderRejected").Scan(&told))
		if told != batch+1 {
			t.Errorf("of %d orders was told that they are rejected", told)
		}
		clear(m.asked)
		if after, err := w.look(t.Context(), ""); after != "" || err != nil || len(m.asked) != 3 {
			t.Errorf("later: %q, %v, asked for %v; what is settled is not looked at again", after, err, m.asked)
		}
	})
}

// An operator undoes a checkout whose first step has never been done: nothing is
// to be undone, and the order is rejected all the same.
func TestOrderOfACheckoutThatNeverBegan(t *testing.T) {
	s := started(t, "  order.sweep.after: 10ms\n  order.sweep.period: 20ms\n")
	file := filepath.Join(t.TempDir(), "closed.yaml")
	must(t, os.WriteFile(file, []byte(`experiments:
  - name: closed
    reason: no checkout can begin
    error: {service: order, method: shop.order.v1.OrderProcessService/OpenCheckout, code: UNAVAILABLE}
`), 0o600))
	reopen := s.Experiment(file)
	warrentest.Eventually(t, "checkouts not to be opened", func() (error, bool) {
		_, err := orderv1.NewOrderProcessServiceClient(s.Client()).OpenCheckout(t.Context(), &orderv1.OpenCheckoutRequest{OrderId: "nonsense"})
		return err, rpc.FromError(err).Reason == "FAULT_INJECTED"
	})
	ctx := s.rich(t, "undone", 10_000)
	id := s.place(ctx, t, wanted(some("HEART", 2))).GetOrderId()
	gid := "checkout/" + id
	warrentest.Eventually(t, "the checkout to be tried", func() (*txnv1.Transaction, bool) {
		got, err := s.txns.Get(t.Context(), &txnv1.GetRequest{Gid: gid})
		must(t, err)
		return got, got.GetBranches()[0].GetAttempts() > 1
	})
	if o := s.becomes(ctx, t, id, orderv1.State_PLACED); way(o) != "PLACED" {
		t.Errorf("it went %s", way(o))
	}
	_, err := txnv1.NewOperatorServiceClient(s.Client()).Compensate(s.As(t.Context(), "olga", "operator"), &txnv1.CompensateRequest{
		Gid: gid, By: &txnv1.By{Reason: "it hangs"},
	})
	must(t, err)
	if s.ends(t, gid) {
		t.Error("the checkout succeeded")
	}
	reopen()
	if o := s.becomes(ctx, t, id, orderv1.State_REJECTED); way(o) != "PLACED REJECTED" || o.GetReason() != unarranged {
		t.Errorf("it went %s: %q", way(o), o.GetReason())
	}
	s.has(t, "undone", 10_000)
	s.tells(t, id, "Placed", "Rejected")
}
