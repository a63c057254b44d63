package coordinator

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
)

// A coordinator that undid something before its decision was on disk, and died,
// would be followed by one that goes forward with what was undone.
func TestNothingIsUndoneBeforeTheDecisionIsOnDisk(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	n := w.start(Options{})
	look := w.open("look")
	undone, waits := make(chan txnv1.State, 1), make(chan struct{})
	w.people.on("b", func(context.Context, *txnv1.Branch, []byte) ([]byte, error) {
		defer close(waits)
		return nil, said{kind: txnv1.Outcome_KIND_ONGOING, after: time.Hour, text: "not yet"}
	})
	w.people.on("unb", func(ctx context.Context, b *txnv1.Branch, _ []byte) ([]byte, error) {
		var state int64
		err := look.QueryRow(ctx, `SELECT state FROM warren_txn WHERE gid = ?`, b.GetGid()).Scan(&state)
		undone <- txnv1.State(state)
		return nil, err
	})
	saga := chain("g", "a", "b", "c")
	const timeout = 400 * time.Millisecond
	saga.Timeout = durationpb.New(timeout)
	n.submit(saga)
	<-waits
	w.until("what b said to be on disk", func() bool {
		var rows int64
		err := look.QueryRow(t.Context(), `SELECT COUNT(*) FROM warren_txn_branch WHERE gid = 'g' AND name = 'b'`).Scan(&rows)
		return err == nil && rows == 1
	})
	// The time runs out while nobody can write.
	err := n.engine.db.InTx(t.Context(), func(context.Context, *store.Tx) error {
		over := time.NewTimer(timeout + 200*time.Millisecond)
		defer over.Stop()
		select {
		case state := <-undone:
			t.Errorf("b was undone while the saga was %v on disk", state)
		case <-over.C:
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	n.wants("g", txnv1.State_STATE_FAILED)
	w.nets("g", 0, "a", "b", "c")
}

// Whoever looks for what was forgotten, or asks for the transaction by its id, may find
// it on disk before the coordinator that has just written it begins to work on it.
func TestWhatIsBeingCreatedIsBegunOnce(t *testing.T) {
	for name, look := range map[string]func(n *node) error{
		"scan":     func(n *node) error { return n.engine.scan(t.Context(), map[string]seen{}) },
		"by an id": func(n *node) error { _, err := n.engine.adopt(t.Context(), "g"); return err },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, storetest.SQLite(t))
			written, on := make(chan struct{}), make(chan struct{})
			var once sync.Once
			n := w.start(Options{Failpoint: func(p string) error {
				if p == "commit" {
					once.Do(func() { close(written); <-on })
				}
				return nil
			}})
			submitted := make(chan error, 1)
			go func() {
				_, err := n.Submit(t.Context(), &txnv1.SubmitRequest{Saga: chain("g", "a", "b")})
				submitted <- err
			}()
			<-written
			if err := look(n); err != nil {
				t.Fatal(err)
			}
			close(on)
			if err := <-submitted; err != nil {
				t.Fatal(err)
			}
			n.wants("g", txnv1.State_STATE_SUCCEEDED)
			if calls := w.people.calls("g"); !slices.Equal(calls, []string{"a", "b"}) {
				t.Errorf("calls %v, want each action once", calls)
			}
		})
	}
}

// The call of a coordinator that was taken for dead arrives after its successor
// was refused, and everything undone.
func TestACallThatComesAfterARefusalIsBarred(t *testing.T) {
	each(t, func(w *world) {
		there, goOn := make(chan struct{}), make(chan struct{})
		var calls atomic.Int64
		paused := func(p string) error {
			switch {
			case p == "beat":
				return errors.New("the process is paused")
			case p == "before OP_ACTION" && calls.Add(1) == 2:
				close(there)
				<-goOn
			}
			return nil
		}
		release := sync.OnceFunc(func() { close(goOn) })
		defer release()
		var refused atomic.Bool
		w.people.on("b", func(context.Context, *txnv1.Branch, []byte) ([]byte, error) {
			if refused.CompareAndSwap(false, true) {
				return nil, failure("nothing is left")
			}
			return nil, nil // there is again, later
		})
		first := w.start(Options{Node: "first", Failpoint: paused}, entry("txn.call_timeout", "1m"))
		first.submit(chain("g", "a", "b"))
		<-there
		second := w.start(Options{Node: "second"})
		w.until("the other to be refused", refused.Load)
		second.wants("g", txnv1.State_STATE_FAILED)
		release()
		first.drain()
		if got := w.people.calls("g"); !slices.Equal(got[:2], []string{"a", "b"}) || got[len(got)-1] != "b" {
			t.Errorf("called %v; want b again at last", got)
		}
		w.nets("g", 0, "a", "b")
	})
}

// A call of which nothing was heard may be on its way still when the next one is
// refused.
func TestARefusalAfterSilenceIsUndone(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	n := w.start(Options{})
	var calls atomic.Int64
	w.people.on("b", func(context.Context, *txnv1.Branch, []byte) ([]byte, error) {
		if calls.Add(1) == 1 {
			return nil, errors.New("says nothing")
		}
		return nil, failure("nothing is left")
	})
	n.submit(chain("g", "a", "b"))
	n.wants("g", txnv1.State_STATE_FAILED)
	if got := w.people.calls("g"); !slices.Equal(got, []string{"a", "b", "b", "unb", "una"}) {
		t.Errorf("called %v; want b barred", got)
	}
}

// As nothing undoes a pivot, a saga whose pivot may still be on its way does not turn
// back, unless the participant has seen to it that it does nothing any more.
func TestAPivotInDoubtThatIsRefusedIsNotTurnedBack(t *testing.T) {
	each(t, func(w *world) {
		n := w.start(Options{})
		refusal := map[string]said{
			"open":   {kind: txnv1.Outcome_KIND_FAILURE, text: "too late"},
			"barred": {kind: txnv1.Outcome_KIND_FAILURE, text: "too late", barred: true},
		}
		var mu sync.Mutex
		doubts := map[string][]bool{}
		w.people.on("pivot", func(_ context.Context, b *txnv1.Branch, _ []byte) ([]byte, error) {
			mu.Lock()
			defer mu.Unlock()
			doubts[b.GetGid()] = append(doubts[b.GetGid()], b.GetInDoubt())
			if len(doubts[b.GetGid()]) == 1 {
				return nil, errors.New("says nothing")
			}
			return nil, refusal[b.GetGid()]
		})
		for gid := range refusal {
			saga := chain(gid, "a", "pivot", "c")
			saga.Steps[1].Pivot, saga.Steps[1].Compensate = true, ""
			n.submit(saga)
		}
		n.wants("barred", txnv1.State_STATE_FAILED)
		w.nets("barred", 0, "a", "pivot", "c")
		v := n.parked("open")
		if v.GetState() != txnv1.State_STATE_RUNNING {
			t.Errorf("the one whose pivot may be done is %v", v.GetState())
		}
		w.nets("open", 1, "a")
		mu.Lock()
		defer mu.Unlock()
		for gid, told := range doubts {
			if !slices.Equal(told, []bool{false, true}) {
				t.Errorf("%s: the participant was told of doubt: %v; want from the second call on", gid, told)
			}
		}
	})
}

// A local transaction that commits while its saga is aborted, by an operator or by
// another call with the same id that was refused, still has its saga.
func TestWhoAbortsDoesNotDecideAboutALocalTransaction(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	n := w.start(Options{})
	w.people.query = func(gid, _ string) (txnv1.QueryResponse_Result, error) {
		if gid == "late" {
			return txnv1.QueryResponse_RESULT_ROLLED_BACK, nil
		}
		return txnv1.QueryResponse_RESULT_COMMITTED, nil
	}
	abort := func(gid string) error {
		_, err := n.Abort(t.Context(), &txnv1.AbortRequest{Gid: gid})
		return err
	}
	compensate := func(gid string) error {
		_, err := n.ops.Compensate(cli(t.Context()), &txnv1.CompensateRequest{Gid: gid, By: by})
		return err
	}
	for gid, act := range map[string]func(string) error{"aborted": abort, "compensated": compensate, "late": compensate} {
		_, err := n.Prepare(t.Context(), &txnv1.PrepareRequest{
			Transaction: &txnv1.PrepareRequest_Saga{Saga: chain(gid, "a")},
			Check:       &txnv1.Check{Service: "order", Branch: "local"}, Timeout: durationpb.New(time.Hour),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := act(gid); err != nil {
			t.Fatal(err)
		}
	}
	n.wants("aborted", txnv1.State_STATE_SUCCEEDED)
	n.wants("compensated", txnv1.State_STATE_SUCCEEDED)
	n.wants("late", txnv1.State_STATE_FAILED)
}
