package main

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
)

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
