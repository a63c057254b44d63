package console

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

type transactionsView struct {
	Table *frame.Table
	Tab   string
	Tabs  []tab
}

// tab is one of several views of a page.
type tab struct {
	Name, Href string
	Here       bool
}

// Export is the list of transactions.
func (v transactionsView) Export() *frame.Table { return v.Table }

func (s *screens) transactions(r *frame.Request) (any, error) {
	v := transactionsView{Tab: r.Get("show")}
	request := &txnv1.ListRequest{Name: r.Get("name"), PageToken: r.Get("page"), PageSize: 100}
	if prefix := r.Get("q"); prefix != "" {
		request.GidPrefix = prefix
	}
	switch v.Tab {
	case "running":
		request.States = unfinished()
	case "parked":
		request.Parked = true
	case "failed":
		request.States = []txnv1.State{txnv1.State_STATE_FAILED}
	default:
		v.Tab = ""
	}
	for _, one := range []struct{ key, name string }{{"", "All"}, {"running", "Running"}, {"parked", "Parked"}, {"failed", "Failed"}} {
		v.Tabs = append(v.Tabs, tab{one.name, r.With("show", one.key, "page", ""), one.key == v.Tab})
	}
	found, err := s.txn.List(r.Context(), request)
	if err != nil {
		return nil, err
	}
	t := transactionTable(found.GetTransactions(), r.Now)
	if r.Filtered("q", "name", "show") {
		t.Empty = frame.Empty{
			Title: "None is like that", Text: "No transaction has this state, name or beginning.",
			Clear: r.With("q", "", "name", "", "show", "", "page", ""),
		}
	}
	if found.GetNextPageToken() != "" {
		t.More = r.With("page", found.GetNextPageToken())
	}
	v.Table = r.Sorted(t, "-began")
	return v, nil
}

func transactionTable(all []*txnv1.Transaction, now time.Time) frame.Table {
	t := frame.Table{
		Caption: "Transactions",
		Columns: []frame.Column{
			{Key: "gid", Title: "Transaction"}, {Key: "name", Title: "Name"}, {Key: "state", Title: "State"}, {Key: "why", Title: "Why", Wide: true},
			{Key: "began", Title: "Began", Number: true}, {Key: "took", Title: "Took", Number: true},
		},
		Empty: frame.Empty{
			Title: "No transaction yet",
			Text:  "A saga, a TCC or a two-phase commit that a service begins appears here at once, with every attempt of every step.",
		},
	}
	for _, one := range all {
		state := stateOfTxn(one)
		t.Rows = append(t.Rows, frame.Row{ID: "txn-" + one.GetGid(), Href: txnHref(one.GetGid()), Cells: []frame.Cell{
			frame.Mono(one.GetGid()), frame.Text(one.GetName()), {Text: state.Word, Status: &state}, {Text: brief(one.GetReason()), Title: one.GetReason()},
			frame.At(one.GetCreateTime().AsTime()), took(one, now),
		}})
	}
	t.Note = strconv.Itoa(len(t.Rows))
	return t
}

func took(one *txnv1.Transaction, now time.Time) frame.Cell {
	end := now
	if one.GetEndTime() != nil {
		end = one.GetEndTime().AsTime()
	}
	d := end.Sub(one.GetCreateTime().AsTime())
	return frame.Cell{Text: frame.Span(d), Order: d.Seconds()}
}

func brief(text string) string {
	const room = 70
	text, _, _ = strings.Cut(text, "\n")
	if r := []rune(text); len(r) > room {
		return string(r[:room-1]) + "…"
	}
	return text
}

func txnHref(gid string) string { return "/transactions/" + url.PathEscape(gid) }

func stateOfTxn(t *txnv1.Transaction) frame.Status {
	word := strings.ToLower(strings.TrimPrefix(t.GetState().String(), "STATE_"))
	if t.GetParked() {
		return frame.Status{Word: "parked", Tone: frame.Warn}
	}
	switch t.GetState() {
	case txnv1.State_STATE_SUCCEEDED:
		return frame.Status{Word: word, Tone: frame.Good}
	case txnv1.State_STATE_FAILED:
		return frame.Status{Word: word, Tone: frame.Bad}
	case txnv1.State_STATE_UNDOING:
		return frame.Status{Word: word, Tone: frame.Warn}
	}
	return frame.Status{Word: word, Tone: frame.Busy}
}
