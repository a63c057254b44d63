package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/store/storetest"
)

func TestSagaSucceeds(t *testing.T) {
	each(t, func(w *world) {
		n := w.start(Options{})
		n.submit(chain("g", "a", "b", "c"))
		v := n.wants("g", txnv1.State_STATE_SUCCEEDED)
		w.nets("g", 1, "a", "b", "c")
		if got := w.people.calls("g"); !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("called %v", got)
		}
		if len(v.GetBranches()) != 3 || v.GetEndTime() == nil {
			t.Errorf("got %v", v)
		}
		got, err := n.Get(t.Context(), &txnv1.GetRequest{Gid: "g"})
		if err != nil || got.GetState() != txnv1.State_STATE_SUCCEEDED {
			t.Errorf("on disk: %v, %v", got, err)
		}
	})
}

func TestSagaIsTurnedBackInReverse(t *testing.T) {
	each(t, func(w *world) {
		n := w.start(Options{})
		w.people.on("c", func(context.Context, *txnv1.Branch, []byte) ([]byte, error) { return nil, failure("no more of it") })
		n.submit(chain("g", "a", "b", "c", "d"))
		v := n.wants("g", txnv1.State_STATE_FAILED)
		w.nets("g", 0, "a", "b", "c", "d")
		if got := w.people.calls("g"); !slices.Equal(got, []string{"a", "b", "c", "unb", "una"}) {
			t.Errorf("called %v", got)
		}
		if v.GetReasonBranch() != "c" || v.GetReasonCode() != 9 {
			t.Errorf("because of %q, %v: %s", v.GetReasonBranch(), v.GetReasonCode(), v.GetReason())
		}
	})
}

func TestStepsOfAGraphRunBesideEachOther(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	n := w.start(Options{})
	both := make(chan struct{}, 2)
	meet := func(ctx context.Context, _ *txnv1.Branch, _ []byte) ([]byte, error) {
		both <- struct{}{}
		for len(both) < 2 && ctx.Err() == nil {
			w.people.saw(seenCall{branch: &txnv1.Branch{}, method: "/shop.S/x"})
		}
		return nil, ctx.Err()
	}
	w.people.on("b", meet)
	w.people.on("c", meet)
	w.people.on("d", func(context.Context, *txnv1.Branch, []byte) ([]byte, error) { return nil, failure("no") })
	n.submit(&txnv1.Saga{Gid: "g", Name: "graph", Steps: []*txnv1.Step{step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c")}})
	n.wants("g", txnv1.State_STATE_FAILED)
	w.nets("g", 0, "a", "b", "c", "d")
	if got := w.people.calls("g"); got[len(got)-1] != "una" {
		t.Errorf("a was not undone last: %v", got)
	}
}

func TestAfterThePivotOnlyForward(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	n := w.start(Options{}, entry("txn.failures", "3"))
	w.people.on("ship", func(_ context.Context, b *txnv1.Branch, _ []byte) ([]byte, error) { return nil, failure("no carrier") })
	saga := chain("g", "hold", "confirm", "ship")
	saga.Steps[1].Pivot = true
	n.submit(saga)
	v := n.parked("g")
	if v.GetState() != txnv1.State_STATE_RUNNING || v.GetReasonBranch() != "ship" {
		t.Errorf("got %v", v)
	}
	w.nets("g", 1, "hold", "confirm")
	w.people.on("ship", nil)
	if _, err := n.ops.Unpark(cli(t.Context()), &txnv1.UnparkRequest{Gid: "g", By: by}); err != nil {
		t.Fatal(err)
	}
	n.wants("g", txnv1.State_STATE_SUCCEEDED)
	w.nets("g", 1, "hold", "confirm", "ship")
}

func TestAnswersFlowIntoRequests(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	n := w.start(Options{})
	inner := protowire.AppendString(protowire.AppendTag(nil, 2, protowire.BytesType), "pay-7")
	answer := protowire.AppendBytes(protowire.AppendTag(nil, 5, protowire.BytesType), inner)
	answer = protowire.AppendVarint(protowire.AppendTag(answer, 6, protowire.VarintType), 42)
	w.people.on("a", func(context.Context, *txnv1.Branch, []byte) ([]byte, error) { return answer, nil })
	w.people.on("b", func(context.Context, *txnv1.Branch, []byte) ([]byte, error) { return nil, failure("no") })
	saga := chain("g", "a", "b")
	saga.Steps[1].Request = protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "own")
	saga.Steps[1].Bindings = []*txnv1.Binding{{Step: "a", From: []int32{5, 2}, To: []int32{3, 4}}, {Step: "a", From: []int32{6}, To: []int32{7}}}
	saga.Steps[0].CompensateBindings = []*txnv1.Binding{{Step: "a", From: []int32{5, 2}, To: []int32{9}}}
	n.submit(saga)
	n.wants("g", txnv1.State_STATE_FAILED)
	nested := protowire.AppendString(protowire.AppendTag(nil, 4, protowire.BytesType), "pay-7")
	want := append([]byte{}, saga.GetSteps()[1].GetRequest()...)
	want = protowire.AppendBytes(protowire.AppendTag(want, 3, protowire.BytesType), nested)
	want = protowire.AppendVarint(protowire.AppendTag(want, 7, protowire.VarintType), 42)
	for _, c := range w.people.seen {
		switch {
		case c.method == "/shop.S/b" && !slices.Equal(c.data, want):
			t.Errorf("b got %x; want %x", c.data, want)
		case c.method == "/shop.S/una" && !slices.Equal(c.data, protowire.AppendString(protowire.AppendTag(nil, 9, protowire.BytesType), "pay-7")):
			t.Errorf("una got %x", c.data)
		case c.method == "/shop.S/una" && c.branch.GetReason() != "no":
			t.Errorf("una was told %q", c.branch.GetReason())
		}
	}
}

func TestBadSagasAreRefused(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	n := w.start(Options{})
	pivots := chain("g", "a", "b")
	pivots.Steps[0].Pivot, pivots.Steps[1].Pivot = true, true
	beside := &txnv1.Saga{Gid: "g", Name: "n", Steps: []*txnv1.Step{step("a"), step("b")}}
	beside.Steps[0].Pivot = true
	unknown := chain("g", "a")
	unknown.Steps[0].Bindings = []*txnv1.Binding{{Step: "z"}}
	method := chain("g", "a")
	method.Steps[0].Method = "Reserve"
	for name, saga := range map[string]*txnv1.Saga{
		"cycle":         {Gid: "g", Name: "n", Steps: []*txnv1.Step{step("a", "b"), step("b", "a")}},
		"twice":         chain("g", "a", "a"),
		"unknown":       {Gid: "g", Name: "n", Steps: []*txnv1.Step{step("a", "z")}},
		"two pivots":    pivots,
		"beside pivot":  beside,
		"bad binding":   unknown,
		"bad method":    method,
		"NUL in the id": chain("a\x00b", "a"),
	} {
		if _, err := n.Submit(t.Context(), &txnv1.SubmitRequest{Saga: saga}); !errors.Is(err, reason(txnv1.Reason_BAD_TRANSACTION)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Many sagas at once, some of which fail: each is wholly done or wholly undone.
func TestManySagas(t *testing.T) {
	each(t, func(w *world) {
		n := w.start(Options{})
		w.people.on("b", func(_ context.Context, b *txnv1.Branch, _ []byte) ([]byte, error) {
			if b.GetGid()[len(b.GetGid())-1] == '3' {
				return nil, failure("not three")
			}
			return nil, nil
		})
		const many = 200
		for i := range many {
			n.submit(chain(fmt.Sprintf("g%d", i), "a", "b", "c"))
		}
		for i := range many {
			gid := fmt.Sprintf("g%d", i)
			state, want := txnv1.State_STATE_SUCCEEDED, 1
			if i%10 == 3 {
				state, want = txnv1.State_STATE_FAILED, 0
			}
			n.wants(gid, state)
			w.nets(gid, want, "a", "b", "c")
		}
	})
}
