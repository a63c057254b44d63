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

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/store/storetest"
)

func TestB18AnswerLostEffectCommitted(t *testing.T) {
	each(t, func(w *world) {
		var lost atomic.Int64
		n := w.start(Options{Failpoint: func(p string) error {
			if (p == "after OP_ACTION" || p == "after OP_COMPENSATE") && lost.Add(1)%2 == 1 {
				return errors.New("the answer was lost")
			}
			return nil
		}})
		w.people.on("c", func(context.Context, *txnv1.Branch, []byte) ([]byte, error) { return nil, failure("no") })
		n.submit(chain("good", "a", "b"))
		n.wants("good", txnv1.State_STATE_SUCCEEDED)
		w.nets("good", 1, "a", "b")
		n.submit(chain("bad", "a", "b", "c"))
		n.wants("bad", txnv1.State_STATE_FAILED)
		w.nets("bad", 0, "a", "b", "c")
	})
}

func TestB19EffectArrivesAfterItsCompensation(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	n := w.start(Options{}, entry("txn.call_timeout", "50ms"), entry("txn.attempts", "1"))
	late, arrived := make(chan struct{}), make(chan error, 1)
	w.people.on("b", func(ctx context.Context, b *txnv1.Branch, req []byte) ([]byte, error) {
		<-ctx.Done()
		go func() { // the network keeps the request, and delivers it later
			<-late
			w.people.on("b", nil)
			_, err := w.people.serve(context.Background(), "/shop.S/b", b, req)
			arrived <- err
		}()
		return nil, ctx.Err()
	})
	n.submit(chain("g", "a", "b"))
	n.wants("g", txnv1.State_STATE_FAILED)
	close(late)
	if err := <-arrived; err == nil {
		t.Error("the late action was not refused")
	}
	w.nets("g", 0, "a", "b")
}

func TestB20ErrorsWithoutAWordAreNoFailures(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	n := w.start(Options{})
	var count atomic.Int64
	w.people.on("a", func(context.Context, *txnv1.Branch, []byte) ([]byte, error) {
		code := codes.Code(count.Add(1))
		if code > codes.Unauthenticated {
			return nil, nil
		}
		return nil, status.Error(code, "says nothing")
	})
	n.submit(chain("g", "a"))
	n.wants("g", txnv1.State_STATE_SUCCEEDED)
	w.nets("g", 1, "a")
	show, err := n.ops.Show(cli(t.Context()), &txnv1.ShowRequest{Gid: "g"})
	if err != nil || len(show.GetAttempts()) != int(codes.Unauthenticated)+1 {
		t.Fatalf("attempts: %v, %v", show, err)
	}
	for i, a := range show.GetAttempts() {
		if a.GetNumber() != int32(i+1) || i < 16 && a.GetOutcome().GetKind() != txnv1.Outcome_KIND_RETRY {
			t.Errorf("attempt %d: %v", i+1, a)
		}
	}
}

func TestB21WordsInAnAnswerMeanNothing(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	n := w.start(Options{})
	w.people.on("a", func(context.Context, *txnv1.Branch, []byte) ([]byte, error) {
		return []byte("\x0a\x07FAILURE\x12\x07ONGOING"), nil
	})
	n.submit(chain("g", "a", "b"))
	n.wants("g", txnv1.State_STATE_SUCCEEDED)
	w.nets("g", 1, "a", "b")
}

func TestB22OngoingForLong(t *testing.T) {
	each(t, func(w *world) {
		var asked, ready atomic.Int64
		w.people.on("a", func(context.Context, *txnv1.Branch, []byte) ([]byte, error) {
			asked.Add(1)
			if ready.Load() == 0 {
				return nil, said{kind: txnv1.Outcome_KIND_ONGOING, after: 5 * time.Millisecond, text: "the bank works on it"}
			}
			return nil, nil
		})
		first := w.start(Options{Node: "first"}, entry("txn.attempts", "3"))
		first.submit(chain("g", "a"))
		w.until("many more questions than attempts", func() bool { return asked.Load() > 20 })
		first.kill()
		second := w.start(Options{Node: "second"}, entry("txn.attempts", "3"))
		before := asked.Load()
		w.until("questions after the restart", func() bool { return asked.Load() > before+10 })
		ready.Store(1)
		second.wants("g", txnv1.State_STATE_SUCCEEDED)
		show, err := second.ops.Show(cli(t.Context()), &txnv1.ShowRequest{Gid: "g"})
		var told []txnv1.Outcome_Kind
		for _, a := range show.GetAttempts() {
			told = append(told, a.GetOutcome().GetKind())
		}
		if want := []txnv1.Outcome_Kind{txnv1.Outcome_KIND_ONGOING, txnv1.Outcome_KIND_OK}; err != nil || !slices.Equal(told, want) {
			t.Errorf("kept %v (%v); want the first question and the end, not all in between", told, err)
		}
	})
}

func TestB23CompensationThatFails(t *testing.T) {
	each(t, func(w *world) {
		n := w.start(Options{}, entry("txn.failures", "2"))
		no := func(context.Context, *txnv1.Branch, []byte) ([]byte, error) { return nil, failure("cannot be undone") }
		w.people.on("d", no)
		w.people.on("unb", no)
		n.submit(chain("g", "a", "b", "c", "d"))
		v := n.parked("g")
		if v.GetReasonBranch() != "b" || v.GetState() != txnv1.State_STATE_UNDOING {
			t.Errorf("got %v", v)
		}
		w.nets("g", 0, "a", "c", "d")
		w.nets("g", 1, "b")
		w.people.on("unb", nil)
		if _, err := n.ops.Retry(cli(t.Context()), &txnv1.RetryRequest{Gid: "g", By: by}); err != nil {
			t.Fatal(err)
		}
		n.wants("g", txnv1.State_STATE_FAILED)
		w.nets("g", 0, "a", "b", "c", "d")
	})
}

func TestB24ParticipantsAreFoundWhenTheyAreCalled(t *testing.T) {
	// The coordinator keeps names of methods and nothing of who serves them: what
	// is away now and served by somebody else later is called there.
	w := newWorld(t, storetest.SQLite(t))
	n := w.start(Options{})
	var moved atomic.Bool
	w.people.on("a", func(context.Context, *txnv1.Branch, []byte) ([]byte, error) {
		if !moved.Load() {
			return nil, status.Error(codes.Unavailable, "no instance")
		}
		return nil, nil
	})
	n.submit(chain("g", "a"))
	w.until("some calls", func() bool { return len(w.people.calls("g")) > 2 })
	moved.Store(true)
	n.wants("g", txnv1.State_STATE_SUCCEEDED)
}

func TestB25ParticipantPanics(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	n := w.start(Options{})
	var count atomic.Int64
	w.people.on("a", func(context.Context, *txnv1.Branch, []byte) ([]byte, error) {
		if count.Add(1) < 3 {
			return nil, status.Error(codes.Internal, "panic: nil map") // as a server makes of it
		}
		return nil, nil
	})
	n.submit(chain("g", "a", "b"))
	n.wants("g", txnv1.State_STATE_SUCCEEDED)
	w.nets("g", 1, "a", "b")
}

func TestAttemptsRunOut(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	n := w.start(Options{}, entry("txn.attempts", "4"))
	w.people.on("b", func(context.Context, *txnv1.Branch, []byte) ([]byte, error) {
		return nil, status.Error(codes.Unavailable, "away")
	})
	n.submit(chain("back", "a", "b", "c"))
	n.wants("back", txnv1.State_STATE_FAILED)
	if got := w.people.calls("back"); !slices.Equal(got, []string{"a", "b", "b", "b", "b", "unb", "una"}) {
		t.Errorf("called %v; want what may have happened undone too", got)
	}
	// A pivot that may have happened, and cannot be undone, is for a person.
	pivot := chain("pivot", "a", "b", "c")
	pivot.Steps[1].Pivot, pivot.Steps[1].Compensate = true, ""
	n.submit(pivot)
	if v := n.parked("pivot"); v.GetReasonBranch() != "b" {
		t.Errorf("got %v", v)
	}
	// One step may have a budget of its own.
	own := chain("own", "b")
	own.Steps[0].Policy = &txnv1.CallPolicy{Attempts: 2}
	n.submit(own)
	n.wants("own", txnv1.State_STATE_FAILED)
	if got := w.people.calls("own"); len(got) != 3 {
		t.Errorf("called %v", got)
	}
}

func TestOldTransactionsAreForgotten(t *testing.T) {
	each(t, func(w *world) {
		n := w.start(Options{})
		w.people.on("b", func(context.Context, *txnv1.Branch, []byte) ([]byte, error) { return nil, failure("no") })
		for i := range 5 {
			n.submit(chain(fmt.Sprintf("g%d", i), "a", "b"))
			n.wants(fmt.Sprintf("g%d", i), txnv1.State_STATE_FAILED)
		}
		if err := n.engine.forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		n.wants("g0", txnv1.State_STATE_FAILED)
		n.engine.clock.base += (8 * 24 * time.Hour).Microseconds()
		if err := n.engine.forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, table := range []string{"warren_txn", "warren_txn_branch", "warren_txn_attempt"} {
			var rows int64
			if err := n.engine.db.QueryRow(t.Context(), `SELECT COUNT(*) FROM `+table).Scan(&rows); err != nil || rows != 0 {
				t.Errorf("%s: %d rows are left, %v", table, rows, err)
			}
		}
	})
}
