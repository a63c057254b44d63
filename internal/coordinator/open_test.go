package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/store/storetest"
)

// tcc opens a TCC with branches that were tried.
func (n *node) tcc(gid string, timeout time.Duration, branches ...string) {
	n.w.Helper()
	req := &txnv1.PrepareRequest{Transaction: &txnv1.PrepareRequest_Tcc{Tcc: &txnv1.Open{Gid: gid, Name: "tcc"}}}
	if timeout > 0 {
		req.Timeout = durationpb.New(timeout)
	}
	if _, err := n.Prepare(n.w.Context(), req); err != nil {
		n.w.Fatal(err)
	}
	for _, b := range branches {
		resp, err := n.Register(n.w.Context(), registration(gid, b))
		if err != nil {
			n.w.Fatal(err)
		}
		if resp.GetBranch().GetOp() != txnv1.Op_OP_TRY {
			n.w.Errorf("register says %v", resp)
		}
	}
}

func registration(gid, branch string) *txnv1.RegisterRequest {
	return &txnv1.RegisterRequest{Gid: gid, Branch: branch, Method: "/shop.S/" + branch, Confirm: "/shop.S/ok" + branch, Cancel: "/shop.S/un" + branch, Request: []byte{}}
}

func TestTCCIsConfirmedInParallel(t *testing.T) {
	each(t, func(w *world) {
		n := w.start(Options{})
		n.tcc("g", 0, "a", "b", "c")
		var inside atomic.Int64
		all := make(chan struct{})
		meet := func(ctx context.Context, _ *txnv1.Branch, _ []byte) ([]byte, error) {
			if inside.Add(1) == 3 {
				close(all)
			}
			select {
			case <-all:
				return nil, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		for _, b := range []string{"oka", "okb", "okc"} {
			w.people.on(b, meet)
		}
		if _, err := n.Commit(t.Context(), &txnv1.CommitRequest{Gid: "g"}); err != nil {
			t.Fatal(err)
		}
		n.wants("g", txnv1.State_STATE_SUCCEEDED)
		if _, err := n.Commit(t.Context(), &txnv1.CommitRequest{Gid: "g"}); err != nil {
			t.Errorf("commit again: %v", err)
		}
		if _, err := n.Abort(t.Context(), &txnv1.AbortRequest{Gid: "g"}); !errors.Is(err, reason(txnv1.Reason_TRANSACTION_COMMITTED)) {
			t.Errorf("abort what took place: %v", err)
		}
	})
}

func TestD34TheInitiatorDies(t *testing.T) {
	each(t, func(w *world) {
		first := w.start(Options{Node: "first"})
		first.tcc("g", 600*time.Millisecond, "a", "b")
		first.kill() // and the coordinator with it
		n := w.start(Options{Node: "second"})
		n.wants("g", txnv1.State_STATE_FAILED)
		got := w.people.calls("g")
		slices.Sort(got)
		if !slices.Equal(got, []string{"una", "unb"}) {
			t.Errorf("called %v; want both cancelled", got)
		}
		if _, err := n.Commit(t.Context(), &txnv1.CommitRequest{Gid: "g"}); !errors.Is(err, reason(txnv1.Reason_TRANSACTION_ABORTED)) {
			t.Errorf("commit too late: %v", err)
		}
		if _, err := n.Register(t.Context(), registration("g", "late")); !errors.Is(err, reason(txnv1.Reason_TRANSACTION_ABORTED)) {
			t.Errorf("register too late: %v", err)
		}
	})
}

func TestD36ConfirmFailsForLong(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	n := w.start(Options{}, entry("txn.failures", "3"))
	n.tcc("g", 0, "a", "b")
	w.people.on("okb", func(context.Context, *txnv1.Branch, []byte) ([]byte, error) { return nil, failure("no") })
	if _, err := n.Commit(t.Context(), &txnv1.CommitRequest{Gid: "g"}); err != nil {
		t.Fatal(err)
	}
	v := n.parked("g")
	if v.GetState() != txnv1.State_STATE_RUNNING || v.GetReasonBranch() != "b" {
		t.Errorf("got %v", v)
	}
	if _, err := n.Abort(t.Context(), &txnv1.AbortRequest{Gid: "g"}); !errors.Is(err, reason(txnv1.Reason_TRANSACTION_COMMITTED)) {
		t.Errorf("abort after the decision: %v", err)
	}
	w.people.on("okb", nil)
	if _, err := n.ops.Retry(cli(t.Context()), &txnv1.RetryRequest{Gid: "g", By: by}); err != nil {
		t.Fatal(err)
	}
	n.wants("g", txnv1.State_STATE_SUCCEEDED)
	if slices.Contains(w.people.calls("g"), "una") {
		t.Error("it was cancelled after it was decided")
	}
}

func TestRegisteringIsIdempotent(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	n := w.start(Options{})
	n.tcc("g", 0, "a", "a")
	other := registration("g", "a")
	other.Request = []byte{8, 1}
	if _, err := n.Register(t.Context(), other); !errors.Is(err, reason(txnv1.Reason_BRANCH_EXISTS)) {
		t.Errorf("another branch of that name: %v", err)
	}
	if _, err := n.Abort(t.Context(), &txnv1.AbortRequest{Gid: "g", Wait: true}); err != nil {
		t.Fatal(err)
	}
	if got := w.people.calls("g"); !slices.Equal(got, []string{"una"}) {
		t.Errorf("called %v", got)
	}
}

func TestTwoPhaseCommit(t *testing.T) {
	each(t, func(w *world) {
		n := w.start(Options{})
		var away atomic.Int64
		decided := make(chan string, 100)
		w.people.finish = func(req *txnv1.FinishRequest) error {
			if away.Add(1)%2 == 1 {
				return status.Error(codes.Unavailable, "away")
			}
			if req.GetBranch() == "lost" {
				return rpc.Errorf(txnv1.Reason_PREPARED_LOST, "not there")
			}
			decided <- fmt.Sprint(req.GetGid(), " ", req.GetBranch(), " ", req.GetDecision())
			return nil
		}
		open := func(gid string, branches ...string) {
			_, err := n.Prepare(t.Context(), &txnv1.PrepareRequest{Transaction: &txnv1.PrepareRequest_TwoPhase{TwoPhase: &txnv1.Open{Gid: gid, Name: "xa"}}})
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range branches {
				resp, err := n.Register(t.Context(), &txnv1.RegisterRequest{Gid: gid, Branch: b, Method: "/shop.S/" + b, Service: "payment"})
				if err != nil || resp.GetBranch().GetOp() != txnv1.Op_OP_PREPARE {
					t.Fatalf("%v, %v", resp, err)
				}
			}
		}
		open("yes", "a")
		if v, err := n.Commit(t.Context(), &txnv1.CommitRequest{Gid: "yes", Wait: true}); err != nil || v.GetState() != txnv1.State_STATE_SUCCEEDED {
			t.Fatalf("%v, %v", v, err)
		}
		if got := <-decided; got != "yes a DECISION_COMMIT" {
			t.Errorf("decided %s", got)
		}
		open("no", "a")
		if _, err := n.Abort(t.Context(), &txnv1.AbortRequest{Gid: "no", Wait: true}); err != nil {
			t.Fatal(err)
		}
		if got := <-decided; got != "no a DECISION_ROLLBACK" {
			t.Errorf("decided %s", got)
		}
		open("gone", "lost") // what was prepared and is not there is for a person
		if _, err := n.Commit(t.Context(), &txnv1.CommitRequest{Gid: "gone"}); err != nil {
			t.Fatal(err)
		}
		if v := n.parked("gone"); v.GetReasonBranch() != "lost" {
			t.Errorf("got %v", v)
		}
	})
}

func TestSagaThatDependsOnALocalTransaction(t *testing.T) {
	each(t, func(w *world) {
		n := w.start(Options{})
		var asked atomic.Int64
		w.people.query = func(gid, branch string) (txnv1.QueryResponse_Result, error) {
			if asked.Add(1)%2 == 1 {
				return 0, status.Error(codes.Unavailable, "away")
			}
			if gid == "done" && branch == "local" {
				return txnv1.QueryResponse_RESULT_COMMITTED, nil
			}
			return txnv1.QueryResponse_RESULT_ROLLED_BACK, nil
		}
		prepare := func(gid string, timeout time.Duration) {
			_, err := n.Prepare(t.Context(), &txnv1.PrepareRequest{
				Transaction: &txnv1.PrepareRequest_Saga{Saga: chain(gid, "a")},
				Check:       &txnv1.Check{Service: "order", Branch: "local"}, Timeout: durationpb.New(timeout),
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		prepare("told", time.Minute)
		if got := w.people.calls("told"); len(got) > 0 {
			t.Errorf("it began: %v", got)
		}
		if v, err := n.Commit(t.Context(), &txnv1.CommitRequest{Gid: "told", Wait: true}); err != nil || v.GetState() != txnv1.State_STATE_SUCCEEDED {
			t.Errorf("%v, %v", v, err)
		}
		prepare("done", 20*time.Millisecond)
		n.wants("done", txnv1.State_STATE_SUCCEEDED)
		prepare("undone", 20*time.Millisecond)
		n.wants("undone", txnv1.State_STATE_FAILED)
		w.nets("undone", 0, "a")
		if asked.Load() < 4 {
			t.Errorf("asked %d times", asked.Load())
		}
		prepare("aborted", time.Minute)
		if _, err := n.Abort(t.Context(), &txnv1.AbortRequest{Gid: "aborted", Wait: true}); err != nil {
			t.Fatal(err)
		}
		n.wants("aborted", txnv1.State_STATE_FAILED)
		if got := w.people.calls("aborted"); len(got) > 0 {
			t.Errorf("called %v", got)
		}
	})
}

func TestLocksOfATCC(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	n := w.start(Options{})
	open := func(gid string) error {
		_, err := n.Prepare(t.Context(), &txnv1.PrepareRequest{Transaction: &txnv1.PrepareRequest_Tcc{
			Tcc: &txnv1.Open{Gid: gid, Name: "tcc", Locks: []*txnv1.Lock{{Key: "k"}}},
		}})
		return err
	}
	if err := open("first"); err != nil {
		t.Fatal(err)
	}
	second := make(chan error, 1)
	go func() { second <- open("second") }()
	w.until("the second to wait", func() bool {
		v, err := n.Get(t.Context(), &txnv1.GetRequest{Gid: "second"})
		return err == nil && v.GetState() == txnv1.State_STATE_WAITING
	})
	if _, err := n.Commit(t.Context(), &txnv1.CommitRequest{Gid: "first"}); err != nil {
		t.Fatal(err)
	}
	if err := <-second; err != nil {
		t.Fatal(err)
	}
	if _, err := n.Register(t.Context(), registration("second", "a")); err != nil {
		t.Error(err)
	}
}
