package coordinator

import (
	"context"
	"errors"
	"fmt"
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

func locked(saga *txnv1.Saga, policy txnv1.Lock_Policy, keys ...string) *txnv1.Saga {
	for _, key := range keys {
		saga.Locks = append(saga.Locks, &txnv1.Lock{Key: key, Policy: policy})
	}
	return saga
}

// holding is a handler that says when it is called and goes on when told to.
func holding() (h handler, reached chan string, goOn chan struct{}) {
	reached, goOn = make(chan string, 100), make(chan struct{})
	return func(ctx context.Context, b *txnv1.Branch, _ []byte) ([]byte, error) {
		reached <- b.GetGid()
		select {
		case <-goOn:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}, reached, goOn
}

func TestG63TwoSagasWantOneOrder(t *testing.T) {
	each(t, func(w *world) {
		n := w.start(Options{})
		other := w.start(Options{})
		h, reached, goOn := holding()
		w.people.on("create", h)
		n.submit(locked(chain("create", "create"), txnv1.Lock_POLICY_QUEUE, "order/7", "cart/1"))
		<-reached
		// One that does not want to wait is not begun.
		_, err := n.Submit(t.Context(), &txnv1.SubmitRequest{Saga: locked(chain("impatient", "a"), txnv1.Lock_POLICY_FAIL_FAST, "order/7")})
		if !errors.Is(err, reason(txnv1.Reason_LOCK_HELD)) {
			t.Errorf("fail fast: %v", err)
		}
		if _, err := n.Get(t.Context(), &txnv1.GetRequest{Gid: "impatient"}); !errors.Is(err, reason(txnv1.Reason_TRANSACTION_NOT_FOUND)) {
			t.Errorf("fail fast left something: %v", err)
		}
		// One whose time is up fails without having done anything.
		brief := locked(chain("brief", "a"), txnv1.Lock_POLICY_WAIT, "order/7")
		brief.Locks[0].Timeout = durationpb.New(30 * time.Millisecond)
		n.submit(brief)
		n.wants("brief", txnv1.State_STATE_FAILED)
		// Others wait in their order, also with another coordinator.
		for i, at := range []*node{n, other, n, other} {
			at.submit(locked(chain(fmt.Sprintf("cancel%d", i), "cancel"), txnv1.Lock_POLICY_QUEUE, "order/7"))
		}
		if got := w.people.calls("cancel0"); len(got) > 0 {
			t.Errorf("it did not wait: %v", got)
		}
		close(goOn)
		n.wants("create", txnv1.State_STATE_SUCCEEDED)
		for i := range 4 {
			n.wants(fmt.Sprintf("cancel%d", i), txnv1.State_STATE_SUCCEEDED)
		}
		var order []string
		for _, c := range w.people.seen {
			if c.method == "/shop.S/cancel" {
				order = append(order, c.branch.GetGid())
			}
		}
		if !slices.Equal(order, []string{"cancel0", "cancel1", "cancel2", "cancel3"}) {
			t.Errorf("in the order %v", order)
		}
		w.free(n)
	})
}

// free checks that no lock outlives its transaction.
func (w *world) free(n *node) {
	w.Helper()
	for _, query := range []string{`SELECT COUNT(*) FROM warren_txn_lock WHERE holder <> ''`, `SELECT COUNT(*) FROM warren_txn_lock_wait`} {
		var rows int64
		if err := n.engine.db.QueryRow(w.Context(), query).Scan(&rows); err != nil || rows != 0 {
			w.Errorf("%s: %d, %v", query, rows, err)
		}
	}
}

func TestG64WhatIsBeingTakenBackIsNotUsed(t *testing.T) {
	// A saga that cancels gives credit back, and is turned back itself. Another
	// that would spend the credit must not see it meanwhile.
	w := newWorld(t, storetest.SQLite(t))
	n := w.start(Options{})
	var credit, spent atomic.Int64
	h, reached, goOn := holding()
	w.people.on("credit", func(context.Context, *txnv1.Branch, []byte) ([]byte, error) { credit.Add(100); return nil, nil })
	w.people.on("uncredit", func(context.Context, *txnv1.Branch, []byte) ([]byte, error) { credit.Add(-100); return nil, nil })
	w.people.on("stop", func(ctx context.Context, b *txnv1.Branch, req []byte) ([]byte, error) {
		if _, err := h(ctx, b, req); err != nil {
			return nil, err
		}
		return nil, failure("shipped already")
	})
	w.people.on("spend", func(context.Context, *txnv1.Branch, []byte) ([]byte, error) {
		if credit.Load() < 100 {
			return nil, failure("no credit")
		}
		spent.Add(100)
		credit.Add(-100)
		return nil, nil
	})
	n.submit(locked(chain("cancel", "credit", "stop"), txnv1.Lock_POLICY_QUEUE, "wallet/1"))
	<-reached
	n.submit(locked(chain("buy", "spend"), txnv1.Lock_POLICY_QUEUE, "wallet/1"))
	close(goOn)
	n.wants("cancel", txnv1.State_STATE_FAILED)
	n.wants("buy", txnv1.State_STATE_FAILED)
	if credit.Load() != 0 || spent.Load() != 0 {
		t.Errorf("credit %d, spent %d; want nothing of both", credit.Load(), spent.Load())
	}
	w.free(n)
}

func TestG65LocksInACircle(t *testing.T) {
	each(t, func(w *world) {
		n := w.start(Options{})
		other := w.start(Options{})
		both := make(chan struct{})
		var count atomic.Int64
		w.people.on("first", func(ctx context.Context, _ *txnv1.Branch, _ []byte) ([]byte, error) {
			if count.Add(1) == 2 {
				close(both)
			}
			select {
			case <-both: // each has one and is about to want the other's
				return nil, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		})
		cross := func(gid, one, two string) *txnv1.Saga {
			s := chain(gid, "first", "second")
			s.Steps[0].Locks = []*txnv1.Lock{{Key: one, Policy: txnv1.Lock_POLICY_QUEUE}}
			s.Steps[1].Locks = []*txnv1.Lock{{Key: two, Policy: txnv1.Lock_POLICY_QUEUE}}
			return s
		}
		n.submit(cross("ab", "A", "B"))
		other.submit(cross("ba", "B", "A"))
		one, two := n.end("ab"), n.end("ba")
		won := map[bool]string{true: "ab", false: "ba"}[one.GetState() == txnv1.State_STATE_SUCCEEDED]
		lost := map[string]string{"ab": "ba", "ba": "ab"}[won]
		n.wants(won, txnv1.State_STATE_SUCCEEDED)
		n.wants(lost, txnv1.State_STATE_FAILED)
		w.nets(won, 1, "first", "second")
		w.nets(lost, 0, "first", "second")
		if len(one.GetReason()+two.GetReason()) == 0 {
			t.Error("nobody says why")
		}
		w.free(n)
	})
}

func TestLocksOutliveTheirCoordinator(t *testing.T) {
	each(t, func(w *world) {
		h, reached, goOn := holding()
		w.people.on("a", h)
		first := w.start(Options{Node: "first"})
		first.submit(locked(chain("holder", "a"), txnv1.Lock_POLICY_QUEUE, "k"))
		<-reached
		first.submit(locked(chain("waiter", "b"), txnv1.Lock_POLICY_QUEUE, "k"))
		first.kill()
		second := w.start(Options{Node: "second"})
		<-reached
		if got := w.people.calls("waiter"); len(got) > 0 {
			t.Errorf("the lock was lost: %v", got)
		}
		close(goOn)
		second.wants("holder", txnv1.State_STATE_SUCCEEDED)
		second.wants("waiter", txnv1.State_STATE_SUCCEEDED)
		w.free(second)
	})
}

func TestG66OperatorsRaceTheCoordinatorAndEachOther(t *testing.T) {
	each(t, func(w *world) {
		n := w.start(Options{})
		other := w.start(Options{})
		w.people.on("b", func(context.Context, *txnv1.Branch, []byte) ([]byte, error) {
			return nil, errors.New("says nothing")
		})
		// What an operator who comes too late, or while the branch is called, is told.
		late := []txnv1.Reason{txnv1.Reason_TRANSACTION_ENDED, txnv1.Reason_BRANCH_DONE, txnv1.Reason_BRANCH_BUSY}
		for i := range 5 {
			gid := fmt.Sprintf("g%d", i)
			n.submit(chain(gid, "a", "b"))
			w.until("a retry", func() bool { return len(w.people.calls(gid)) > 2 })
			var all sync.WaitGroup
			var compensated, skipped error
			all.Go(func() {
				_, compensated = other.ops.Compensate(cli(t.Context()), &txnv1.CompensateRequest{Gid: gid, By: by})
			})
			all.Go(func() {
				_, skipped = n.ops.Skip(cli(t.Context()), &txnv1.SkipRequest{Gid: gid, Branch: "b", By: by})
			})
			all.Wait()
			v := n.end(gid)
			show, err := n.ops.Show(cli(t.Context()), &txnv1.ShowRequest{Gid: gid})
			if err != nil {
				t.Fatal(err)
			}
			acted := 0
			for _, err := range []error{compensated, skipped} {
				if err == nil {
					acted++
				} else if !slices.ContainsFunc(late, func(r txnv1.Reason) bool { return errors.Is(err, reason(r)) }) {
					t.Error(err)
				}
			}
			if len(show.GetActions()) != acted || acted == 0 {
				t.Errorf("%d actions succeeded, %v are kept", acted, show.GetActions())
			}
			want := 0
			if v.GetState() == txnv1.State_STATE_SUCCEEDED {
				want = 1
			}
			w.nets(gid, want, "a")
		}
	})
}

func TestG67DiskFull(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	n := w.start(Options{})
	h, reached, goOn := holding()
	w.people.on("a", h)
	n.submit(chain("before", "a", "b"))
	<-reached
	db := n.engine.db
	var pages int64
	if err := db.QueryRow(t.Context(), `PRAGMA page_count`).Scan(&pages); err != nil {
		t.Fatal(err)
	}
	// From here on the file cannot grow.
	if _, err := db.Exec(t.Context(), fmt.Sprintf(`PRAGMA max_page_count = %d`, pages)); err != nil {
		t.Fatal(err)
	}
	var refusal error
	for i := 0; refusal == nil; i++ {
		saga := chain(fmt.Sprintf("big%d", i), "x")
		saga.Steps[0].Request = make([]byte, 20000)
		_, refusal = n.Submit(t.Context(), &txnv1.SubmitRequest{Saga: saga})
	}
	if !errors.Is(refusal, reason(txnv1.Reason_STORE_UNAVAILABLE)) {
		t.Errorf("when the disk is full: %v", refusal)
	}
	w.people.on("a", func(context.Context, *txnv1.Branch, []byte) ([]byte, error) { return make([]byte, 20000), nil })
	close(goOn)
	w.until("the coordinator to notice", n.engine.away.Load)
	if _, err := db.Exec(t.Context(), `PRAGMA max_page_count = 1000000`); err != nil {
		t.Fatal(err)
	}
	n.wants("before", txnv1.State_STATE_SUCCEEDED)
	w.nets("before", 1, "a", "b")
	var sound string
	if err := db.QueryRow(t.Context(), `PRAGMA integrity_check`).Scan(&sound); err != nil || sound != "ok" {
		t.Errorf("the file is %q, %v", sound, err)
	}
}

// TestQueueIsInTheOrderOfAsking: also where the clock of a coordinator is behind.
func TestQueueIsInTheOrderOfAsking(t *testing.T) {
	each(t, func(w *world) {
		db := w.open("queue")
		for i, gid := range []string{"c", "b", "a"} {
			err := db.InTx(w.Context(), func(ctx context.Context, tx *store.Tx) error {
				return ask(ctx, tx, gid, []string{"order/7"}, int64(100-i))
			})
			if err != nil {
				w.Fatal(err)
			}
		}
		got, err := readGids(w.Context(), db, `SELECT gid FROM warren_txn_lock_wait WHERE lock_key = ? ORDER BY asked_at, gid`, "order/7")
		if err != nil || !slices.Equal(got, []string{"c", "b", "a"}) {
			w.Errorf("the queue is %v, %v", got, err)
		}
	})
}
