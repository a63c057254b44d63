package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	shardsv1 "github.com/gowarren/warren/api/warren/shards/v1"
	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/store/storetest"
)

func TestOnlyOperatorsAct(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	n := w.start(Options{})
	n.submit(chain("g", "a"))
	n.wants("g", txnv1.State_STATE_SUCCEEDED)
	as := func(c auth.Caller) context.Context { return auth.NewContext(t.Context(), c) }
	for name, caller := range map[string]auth.Caller{
		"nobody":                    {},
		"a service":                 {Service: "order"},
		"a customer":                {Subject: "bob", Roles: []string{"customer"}, Service: "gateway"},
		"a customer by the command": {Subject: "bob", Service: localOperator},
	} {
		if _, err := n.ops.List(as(caller), &txnv1.ListRequest{}); !errors.Is(err, reason(txnv1.Reason_NOT_AN_OPERATOR)) {
			t.Errorf("%s lists: %v", name, err)
		}
		if _, err := n.ops.Park(as(caller), &txnv1.ParkRequest{Gid: "g", By: by}); !errors.Is(err, reason(txnv1.Reason_NOT_AN_OPERATOR)) {
			t.Errorf("%s parks: %v", name, err)
		}
	}
	user := as(auth.Caller{Subject: "eve", Roles: []string{"operator"}})
	if _, err := n.ops.Show(user, &txnv1.ShowRequest{Gid: "g"}); err != nil {
		t.Error(err)
	}
	if _, err := n.ops.Park(cli(t.Context()), &txnv1.ParkRequest{Gid: "g", By: &txnv1.By{Reason: "r"}}); !errors.Is(err, reason(txnv1.Reason_AUTHOR_REQUIRED)) {
		t.Errorf("nobody in particular: %v", err)
	}
	if _, err := n.ops.Park(user, &txnv1.ParkRequest{Gid: "g", By: by}); !errors.Is(err, reason(txnv1.Reason_TRANSACTION_ENDED)) {
		t.Errorf("what has ended: %v", err)
	}
}

func TestOperatorsActions(t *testing.T) {
	each(t, func(w *world) {
		n := w.start(Options{}, entry("txn.failures", "1"))
		user := auth.NewContext(t.Context(), auth.Caller{Subject: "eve", Roles: []string{"admin"}})
		want := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "right")
		w.people.on("b", func(_ context.Context, _ *txnv1.Branch, req []byte) ([]byte, error) {
			if !slices.Equal(req, want) {
				return nil, failure("a wrong address")
			}
			return nil, nil
		})
		forward := func(gid string) *txnv1.Saga {
			s := chain(gid, "a", "b", "c")
			s.Steps[0].Pivot = true
			return s
		}
		for _, gid := range []string{"edit", "skip", "compensate"} {
			n.submit(forward(gid))
			n.parked(gid)
		}
		if _, err := n.ops.Edit(user, &txnv1.EditRequest{Gid: "edit", Branch: "b", Request: &txnv1.EditRequest_Json{Json: `{}`}, By: by, Force: true}); !errors.Is(err, reason(txnv1.Reason_BAD_JSON)) {
			t.Errorf("JSON for an unknown contract: %v", err)
		}
		if _, err := n.ops.Edit(user, &txnv1.EditRequest{Gid: "edit", Branch: "a", Request: &txnv1.EditRequest_Data{Data: want}, By: by}); !errors.Is(err, reason(txnv1.Reason_BRANCH_DONE)) {
			t.Errorf("what is done: %v", err)
		}
		if _, err := n.ops.Edit(user, &txnv1.EditRequest{Gid: "edit", Branch: "b", Request: &txnv1.EditRequest_Data{Data: want}, By: by, Force: true}); err != nil {
			t.Fatal(err)
		}
		n.wants("edit", txnv1.State_STATE_SUCCEEDED)
		if _, err := n.ops.Skip(user, &txnv1.SkipRequest{Gid: "skip", Branch: "b", By: by}); err != nil {
			t.Fatal(err)
		}
		n.wants("skip", txnv1.State_STATE_SUCCEEDED)
		w.nets("skip", 0, "b")
		w.nets("skip", 1, "a", "c")
		if _, err := n.ops.Compensate(user, &txnv1.CompensateRequest{Gid: "compensate", By: by}); err != nil {
			t.Fatal(err)
		}
		n.wants("compensate", txnv1.State_STATE_FAILED)
		w.nets("compensate", 0, "a", "b", "c")
		show, err := n.ops.Show(user, &txnv1.ShowRequest{Gid: "edit"})
		if err != nil || len(show.GetActions()) != 1 {
			t.Fatalf("%v, %v", show, err)
		}
		if a := show.GetActions()[0]; a.GetWhat() != "edit" || a.GetBranch() != "b" || a.GetAuthor() != "eve" || a.GetReason() != "because" {
			t.Errorf("kept %v", a)
		}
		if got := show.GetTransaction().GetBranches()[1].GetRequest(); !slices.Equal(got, want) {
			t.Errorf("shows the request %x", got)
		}
	})
}

// What a call that is under way will answer must not be thrown away.
func TestWhatIsBeingCalledIsNotSkipped(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	n := w.start(Options{})
	h, reached, goOn := holding()
	w.people.on("b", h)
	n.submit(chain("g", "a", "b"))
	<-reached
	if _, err := n.ops.Skip(cli(t.Context()), &txnv1.SkipRequest{Gid: "g", Branch: "b", By: by}); !errors.Is(err, reason(txnv1.Reason_BRANCH_BUSY)) {
		t.Errorf("skipped while it is called: %v", err)
	}
	close(goOn)
	n.wants("g", txnv1.State_STATE_SUCCEEDED)
	w.nets("g", 1, "a", "b")
}

func TestEditTakesNoSecrets(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	n := w.start(Options{})
	w.people.handlers[shardsv1.ShardService_Move_FullMethodName] = func(context.Context, *txnv1.Branch, []byte) ([]byte, error) {
		return nil, errors.New("away")
	}
	saga := chain("g", "a")
	saga.Steps[0].Method = shardsv1.ShardService_Move_FullMethodName
	n.submit(saga)
	for text, want := range map[string]error{`{"shard": 1, "database": "postgres://ann:pass@db"}`: reason(txnv1.Reason_BAD_JSON), `{"shard": 1}`: nil} {
		_, err := n.ops.Edit(cli(t.Context()), &txnv1.EditRequest{Gid: "g", Branch: "a", Request: &txnv1.EditRequest_Json{Json: text}, By: by, Force: true})
		if !errors.Is(err, want) {
			t.Errorf("%s: %v; want %v", text, err, want)
		}
	}
}

// What an action of which nothing was heard has done by its old request, a new one
// does not change: only an operator who knows better edits it.
func TestWhatIsInDoubtIsEditedByForceOnly(t *testing.T) {
	each(t, func(w *world) {
		n := w.start(Options{}, entry("txn.attempts", "1"))
		w.people.on("a", func(_ context.Context, _ *txnv1.Branch, data []byte) ([]byte, error) {
			if len(data) == 0 {
				return nil, errors.New("says nothing")
			}
			return nil, nil
		})
		saga := chain("g", "a", "b")
		saga.Steps[0].Pivot, saga.Steps[0].Compensate = true, ""
		n.submit(saga)
		n.parked("g")
		edit := &txnv1.EditRequest{Gid: "g", Branch: "a", Request: &txnv1.EditRequest_Data{Data: []byte{8, 1}}, By: by}
		if _, err := n.ops.Edit(cli(t.Context()), edit); !errors.Is(err, reason(txnv1.Reason_BRANCH_IN_DOUBT)) {
			t.Fatalf("edit of what may be done: %v", err)
		}
		if v := n.parked("g"); len(v.GetBranches()[0].GetRequest()) != 0 {
			t.Errorf("the refused request is kept: %v", v)
		}
		later := &txnv1.EditRequest{Gid: "g", Branch: "b", Request: edit.GetRequest(), By: by}
		if _, err := n.ops.Edit(cli(t.Context()), later); err != nil {
			t.Errorf("edit of what was never called: %v", err)
		}
		n.parked("g") // again: an edit has it go on
		edit.Force = true
		if _, err := n.ops.Edit(cli(t.Context()), edit); err != nil {
			t.Fatal(err)
		}
		n.wants("g", txnv1.State_STATE_SUCCEEDED)
	})
}

func TestParkedStaysParked(t *testing.T) {
	each(t, func(w *world) {
		h, reached, goOn := holding()
		w.people.on("a", h)
		first := w.start(Options{Node: "first"})
		first.submit(chain("g", "a", "b"))
		<-reached
		if _, err := first.ops.Park(cli(t.Context()), &txnv1.ParkRequest{Gid: "g", By: by}); err != nil {
			t.Fatal(err)
		}
		close(goOn)
		first.drain()
		second := w.start(Options{Node: "second"})
		if err := second.engine.scan(t.Context(), map[string]seen{}); err != nil {
			t.Fatal(err)
		}
		if v := second.parked("g"); v.GetReason() != "parked by an operator: because" {
			t.Errorf("got %v", v)
		}
		if _, err := second.ops.Unpark(cli(t.Context()), &txnv1.UnparkRequest{Gid: "g", By: by}); err != nil {
			t.Fatal(err)
		}
		second.wants("g", txnv1.State_STATE_SUCCEEDED)
		w.nets("g", 1, "a", "b")
		if _, err := second.ops.Unpark(cli(t.Context()), &txnv1.UnparkRequest{Gid: "g", By: by}); !errors.Is(err, reason(txnv1.Reason_TRANSACTION_ENDED)) {
			t.Errorf("unpark again: %v", err)
		}
	})
}

func TestListIsPaged(t *testing.T) {
	each(t, func(w *world) {
		n := w.start(Options{})
		for i := range 7 {
			n.submit(chain(fmt.Sprintf("g%d", i), "a"))
			n.wants(fmt.Sprintf("g%d", i), txnv1.State_STATE_SUCCEEDED)
		}
		var got []string
		req := &txnv1.ListRequest{PageSize: 3, States: []txnv1.State{txnv1.State_STATE_SUCCEEDED}, Name: "test"}
		for {
			resp, err := n.ops.List(cli(t.Context()), req)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range resp.GetTransactions() {
				got = append(got, v.GetGid())
			}
			if req.PageToken = resp.GetNextPageToken(); req.GetPageToken() == "" {
				break
			}
		}
		if !slices.Equal(got, []string{"g6", "g5", "g4", "g3", "g2", "g1", "g0"}) {
			t.Errorf("listed %v", got)
		}
		req.PageToken = "nonsense"
		if _, err := n.ops.List(cli(t.Context()), req); !errors.Is(err, reason(txnv1.Reason_BAD_PAGE_TOKEN)) {
			t.Errorf("a wrong token: %v", err)
		}
		resp, err := n.ops.List(cli(t.Context()), &txnv1.ListRequest{Parked: true})
		if err != nil || len(resp.GetTransactions()) != 0 {
			t.Errorf("parked: %v, %v", resp, err)
		}
	})
}
