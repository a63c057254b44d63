package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/internal/coordinator"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/warrentest"
)

// TestTransactionIsLookedAfter takes a saga that is stuck through the hands of
// an operator, in a system that runs.
func TestTransactionIsLookedAfter(t *testing.T) {
	sys := warrentest.New(t)
	sys.Run("coordinator", coordinator.Setup)
	t.Setenv("WARREN_REGISTRY", sys.URL())
	t.Setenv("WARREN_KEY_FILE", sys.KeyFile())
	warren := func(wants string, args ...string) string {
		t.Helper()
		r := execute(t.Context(), nil, append(args, "--file", t.TempDir()+"/warren.yaml")...)
		if !strings.Contains(r.out+r.err, wants) {
			t.Fatalf("warren %s: got %q, want %q", strings.Join(args, " "), r.out+r.err, wants)
		}
		return r.out
	}
	why := func(args ...string) []string { return append(append([]string{"tx"}, args...), "--reason", "a test") }

	// Whoever asks for what is not there fails; and the saga has no way back.
	request, err := proto.Marshal(&txnv1.GetRequest{Gid: "nobody"})
	if err != nil {
		t.Fatal(err)
	}
	client := txnv1.NewCoordinatorServiceClient(sys.Client())
	_, err = client.Submit(t.Context(), &txnv1.SubmitRequest{Wait: true, Saga: &txnv1.Saga{Gid: "visit/1", Name: "visit", Steps: []*txnv1.Step{{
		Name: "look", Method: txnv1.CoordinatorService_Get_FullMethodName, Request: request, Pivot: true, Retryable: true,
		Policy: &txnv1.CallPolicy{Attempts: 1},
	}}}})
	if err != nil {
		t.Fatal(rpc.FromError(err))
	}
	warren("visit/1      running (parked)", "tx", "list", "--parked")
	warren("look (pivot)", "tx", "show", "visit/1")
	warren("NotFound: there is no transaction \"visit/2\"", "tx", "show", "visit/2")
	warren("visit/1", why("retry", "visit/1")...)
	if _, err := client.Wait(t.Context(), &txnv1.WaitRequest{Gid: "visit/1"}); err != nil {
		t.Fatal(err)
	}
	warren("read the request as warren.txn.v1.GetRequest", why("edit", "visit/1", "look", `{"name": "x"}`)...)
	warren("edit: visit/1 has no step ship; warren tx show lists them", why("edit", "visit/1", "ship", "{}")...)
	// Who was asked says nothing definite, for it has no barrier: only people know.
	warren("BRANCH_IN_DOUBT", why("edit", "visit/1", "look", `{"gid": "visit/1"}`)...)
	warren("visit/1", why("edit", "visit/1", "look", `{"gid": "visit/1"}`, "--force")...)
	if got, err := client.Wait(t.Context(), &txnv1.WaitRequest{Gid: "visit/1"}); err != nil || got.GetState() != txnv1.State_STATE_SUCCEEDED {
		t.Fatalf("got %v, %v", got, err)
	}
	warren("visit/1      succeeded", "tx", "list", "--all")
	warren("transaction \"visit/1\" has ended", why("skip", "visit/1", "look")...)
	for _, act := range []string{"compensate", "park", "unpark"} {
		warren("transaction \"visit/1\" has ended", why(act, "visit/1")...)
	}
	var shown struct {
		Actions []struct{ What, Author, Reason string }
	}
	if err := json.Unmarshal([]byte(warren("{", "tx", "show", "visit/1", "--json")), &shown); err != nil {
		t.Fatal(err)
	}
	if len(shown.Actions) != 2 || shown.Actions[1].What != "edit" || shown.Actions[1].Author != author() || shown.Actions[1].Reason != "a test" {
		t.Errorf("what was done is kept as %+v", shown.Actions)
	}
	file := t.TempDir() + "/request"
	if err := os.WriteFile(file, request, 0o600); err != nil {
		t.Fatal(err)
	}
	warren("has ended", why("edit", "visit/1", "look", "--data-file", file)...)
}

// TestTransactionIsShownInOrder: what was tried and what operators did are one
// story, and what others wrote stays in its line.
func TestTransactionIsShownInOrder(t *testing.T) {
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	at := func(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(begin.Add(d)) }
	shown := &txnv1.ShowResponse{
		Transaction: &txnv1.Transaction{
			Gid: "checkout/7", Name: "checkout", Pattern: txnv1.Pattern_PATTERN_SAGA, State: txnv1.State_STATE_RUNNING, Parked: true,
			Reason: "no\x1b[2J carrier\nanswers", ReasonBranch: "ship", CreateTime: at(0),
			Branches: []*txnv1.BranchView{
				{Name: "confirm", Method: "/shop.order.v1.OrderService/Confirm", State: txnv1.BranchState_BRANCH_STATE_DONE, Pivot: true},
				{Name: "ship", Method: "/shop.shipping.v1.ShippingService/Create", State: txnv1.BranchState_BRANCH_STATE_DOING, Attempts: 2, Error: "away"},
			},
		},
		Attempts: []*txnv1.Attempt{
			{Branch: "ship", Op: txnv1.Op_OP_ACTION, Number: 1, StartTime: at(time.Second), Took: durationpb.New(20 * time.Millisecond), Code: 14, Outcome: &txnv1.Outcome{Kind: txnv1.Outcome_KIND_RETRY, Reason: "away"}},
			{Branch: "ship", Op: txnv1.Op_OP_ACTION, Number: 2, StartTime: at(3 * time.Second), Outcome: &txnv1.Outcome{Kind: txnv1.Outcome_KIND_ONGOING}},
		},
		Actions: []*txnv1.Action{{Time: at(2 * time.Second), What: "retry", Author: "ada", Reason: "the carrier is back"}},
	}
	var out strings.Builder
	if err := printTransaction(&out, shown); err != nil {
		t.Fatal(err)
	}
	rest := out.String()
	for _, want := range []string{
		"checkout/7 is running (parked), a saga begun", "because ship: no [2J carrier answers\n",
		"confirm (pivot)", "done", "shop.order.v1.OrderService/Confirm", "ship", "doing", "away",
		"action ship", "attempt 1", "20ms", "retry Unavailable", "retry", "by ada", "the carrier is back", "attempt 2", "ongoing",
	} {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("%q does not come next in:\n%s", want, out.String())
		}
		rest = after
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("what others wrote reaches the terminal as it is")
	}
}
