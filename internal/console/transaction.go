package console

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

type transactionView struct {
	Txn      *txnv1.Transaction
	State    frame.Status
	Facts    []fact
	Actions  []frame.Link
	Branches []branchView
	Lanes    []laneView
	Span     time.Duration
	Done     *frame.Table
	Found    []frame.Link
	About    []related
	Traces   string
	Logs     string
}

// branchView is a step with what it was asked and what it answered.
type branchView struct {
	Name, Method, Undo, Error, Next string
	State                           frame.Status
	Attempts                        int32
	Pivot                           bool
	After                           string
	Request, Response               string
	Actions                         []frame.Link
}

// laneView is a call in the timeline; X and Width are shares of the whole.
type laneView struct {
	ID, What, Ended, Why, Class string
	At                          time.Time
	Took                        time.Duration
	X, Width                    float64
	Number                      int32
	Tone                        frame.Tone
}

func (s *screens) transaction(r *frame.Request) (any, error) {
	gid := r.PathValue("gid")
	shown, err := s.txn.Show(r.Context(), &txnv1.ShowRequest{Gid: gid})
	if err != nil {
		return nil, err
	}
	t := shown.GetTransaction()
	v := transactionView{
		Txn: t, State: stateOfTxn(t), Actions: txnLinks(t), Traces: tracesOf("gid", gid, t.GetCreateTime().AsTime()),
		Logs: linesNaming(gid, t.GetCreateTime().AsTime()),
	}
	v.Facts = []fact{
		{"Kind", patternName(t.GetPattern())}, {"Name", t.GetName()}, {"Began", t.GetCreateTime().AsTime().Local().Format("2006-01-02 15:04:05.000")},
		{"Took", took(t, r.Now).Text}, {"Carried through by", cmp.Or(t.GetOwner(), "–")},
	}
	if t.GetDeadline() != nil && t.GetEndTime() == nil {
		v.Facts = append(v.Facts, fact{"To be decided", frame.Ago(t.GetDeadline().AsTime(), r.Now)})
	}
	for _, b := range t.GetBranches() {
		v.Branches = append(v.Branches, s.branch(r, t, b))
	}
	v.Lanes, v.Span = lanes(shown.GetAttempts())
	v.Done = actionTable(shown.GetActions())
	err = s.tracesOfTxn(r.Context(), &v)
	r.Missing("Its traces", err)
	return v, nil
}

// tracesOfTxn adds the first traces that a transaction took part in, and the
// orders that these are about.
func (s *screens) tracesOfTxn(ctx context.Context, v *transactionView) error {
	t := v.Txn

	const few, before = 3, time.Hour
	found, err := s.traces.Search(ctx, &observev1.SearchTracesRequest{
		Gid: t.GetGid(), From: timestamppb.New(t.GetCreateTime().AsTime().Add(-before)), PageSize: few,
	})
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, one := range found.GetTraces() {
		v.Found = append(v.Found, frame.Link{Text: strings.TrimPrefix(one.GetName(), "/"), Href: "/traces/" + one.GetTraceId()})
		if order := one.GetOrderId(); order != "" && !known[order] {
			known[order] = true
			v.About = append(v.About, related{"Order", order, orderLinks(order, t.GetCreateTime().AsTime())})
		}
	}
	return nil
}

func patternName(p txnv1.Pattern) string {
	switch p {
	case txnv1.Pattern_PATTERN_SAGA:
		return "Saga"
	case txnv1.Pattern_PATTERN_TCC:
		return "TCC"
	case txnv1.Pattern_PATTERN_TWO_PHASE:
		return "Two-phase commit"
	}
	return "Transaction"
}

func (s *screens) branch(r *frame.Request, t *txnv1.Transaction, b *txnv1.BranchView) branchView {
	v := branchView{
		Name: b.GetName(), Method: strings.TrimPrefix(b.GetMethod(), "/"), Undo: strings.TrimPrefix(b.GetUndo(), "/"), Error: b.GetError(),
		State: branchState(b.GetState()), Attempts: b.GetAttempts(), Pivot: b.GetPivot(), After: strings.Join(b.GetAfter(), ", "),
		Request: s.decoded(r.Context(), b.GetMethod(), b.GetRequest(), false), Response: s.decoded(r.Context(), b.GetMethod(), b.GetResponse(), true),
	}
	if b.GetNextAttempt() != nil && t.GetEndTime() == nil {
		v.Next = frame.Ago(b.GetNextAttempt().AsTime(), r.Now)
	}
	done := slices.Contains([]txnv1.BranchState{
		txnv1.BranchState_BRANCH_STATE_DONE, txnv1.BranchState_BRANCH_STATE_UNDONE, txnv1.BranchState_BRANCH_STATE_SKIPPED,
	}, b.GetState())
	if t.GetEndTime() == nil && !done {
		q := "?branch=" + queryEscape(b.GetName())
		v.Actions = []frame.Link{
			{Text: "Edit", Href: txnHref(t.GetGid()) + "/edit" + q, Asks: true},
			{Text: "Skip", Href: txnHref(t.GetGid()) + "/skip" + q, Asks: true, Danger: true},
		}
	}
	return v
}

// decoded is a message as JSON, or why it can't be read.
func (s *screens) decoded(ctx context.Context, method string, data []byte, output bool) string {
	if len(data) == 0 {
		return ""
	}
	name := fmt.Sprintf("decoded %s %v %x", method, output, sha256.Sum256(data))
	resp, err := once(ctx, s.answers, minute, name, func(ctx context.Context) (*contractsv1.DecodeResponse, error) {
		return s.contracts.Decode(ctx, &contractsv1.DecodeRequest{Method: method, Data: data, Output: output})
	})
	if err != nil {
		return fmt.Sprintf("%d bytes; %s", len(data), frame.Say(err))
	}
	return resp.GetJson()
}

func branchState(state txnv1.BranchState) frame.Status {
	word := strings.ToLower(strings.TrimPrefix(state.String(), "BRANCH_STATE_"))
	tones := map[txnv1.BranchState]frame.Tone{
		txnv1.BranchState_BRANCH_STATE_DONE: frame.Good, txnv1.BranchState_BRANCH_STATE_DOING: frame.Busy, txnv1.BranchState_BRANCH_STATE_FAILED: frame.Bad,
		txnv1.BranchState_BRANCH_STATE_UNDOING: frame.Warn, txnv1.BranchState_BRANCH_STATE_UNDONE: frame.Warn,
	}
	return frame.Status{Word: word, Tone: cmp.Or(tones[state], frame.Idle)}
}

// lanes places the calls along the time that all of them took together.
func lanes(attempts []*txnv1.Attempt) ([]laneView, time.Duration) {
	if len(attempts) == 0 {
		return nil, 0
	}
	first, last := attempts[0].GetStartTime().AsTime(), time.Time{}
	for _, a := range attempts {
		began := a.GetStartTime().AsTime()
		if began.Before(first) {
			first = began
		}
		if end := began.Add(a.GetTook().AsDuration()); end.After(last) {
			last = end
		}
	}
	whole := max(last.Sub(first), time.Millisecond)
	var out []laneView
	for i, a := range attempts {
		op := strings.ToLower(strings.TrimPrefix(a.GetOp().String(), "OP_"))
		l := laneView{
			ID: fmt.Sprintf("attempt-%d", i), What: op + " " + a.GetBranch(), At: a.GetStartTime().AsTime(), Took: a.GetTook().AsDuration(),
			Number: a.GetNumber(),
			X:      float64(a.GetStartTime().AsTime().Sub(first)) / float64(whole),
			Width:  float64(a.GetTook().AsDuration()) / float64(whole), Why: a.GetOutcome().GetReason(),
		}
		l.Ended, l.Tone, l.Class = endedAs(a)
		const thinnest = 0.006
		l.Width = max(l.Width, thinnest)
		l.X = min(l.X, 1-l.Width)
		out = append(out, l)
	}
	return out, whole
}

func endedAs(a *txnv1.Attempt) (word string, tone frame.Tone, class string) {
	class = "bar"
	if a.GetOp() == txnv1.Op_OP_COMPENSATE || a.GetOp() == txnv1.Op_OP_CANCEL {
		class = "undo"
	}
	switch a.GetOutcome().GetKind() {
	case txnv1.Outcome_KIND_OK:
		return "done", frame.Good, class
	case txnv1.Outcome_KIND_FAILURE:
		return "failed", frame.Bad, "fail"
	case txnv1.Outcome_KIND_ONGOING:
		return "at work", frame.Busy, "wait"
	}
	return "again: " + codes.Code(a.GetCode()).String(), frame.Warn, "wait"
}

func actionTable(actions []*txnv1.Action) *frame.Table {
	t := &frame.Table{
		Caption: "What people did",
		Columns: []frame.Column{{Title: "When", Fixed: true}, {Title: "What", Fixed: true}, {Title: "Who", Fixed: true}, {Title: "Why", Fixed: true}},
	}
	for i, a := range actions {
		t.Rows = append(t.Rows, frame.Row{ID: fmt.Sprintf("action-%d", i), Cells: []frame.Cell{
			frame.At(a.GetTime().AsTime()), frame.Text(strings.TrimSpace(a.GetWhat() + " " + a.GetBranch())), frame.Text(a.GetAuthor()),
			frame.Text(a.GetReason()),
		}})
	}
	return t
}

// txnLinks are what can be done with a transaction in its state.
func txnLinks(t *txnv1.Transaction) []frame.Link {
	href := txnHref(t.GetGid())
	if t.GetEndTime() != nil {
		return nil
	}
	out := []frame.Link{{Text: "Retry now", Href: href + "/retry", Asks: true}}
	if t.GetPattern() == txnv1.Pattern_PATTERN_SAGA && t.GetState() != txnv1.State_STATE_UNDOING {
		out = append(out, frame.Link{Text: "Compensate", Href: href + "/compensate", Asks: true, Danger: true})
	}
	if t.GetParked() {
		return append(out, frame.Link{Text: "Unpark", Href: href + "/unpark", Asks: true})
	}
	return append(out, frame.Link{Text: "Park", Href: href + "/park", Asks: true})
}
