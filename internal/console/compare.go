package console

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/console/frame"
	"github.com/gowarren/warren/internal/tracediff"
)

// compareView is two traces side by side.
type compareView struct {
	Sides   []*sideView
	Verdict string
	Tabs    []tab
	Table   *frame.Table
	Swap    string
	// Cut tells that one has more spans than are compared.
	Cut bool
}

// Export is the list of spans with their difference.
func (v compareView) Export() *frame.Table { return v.Table }

// sideView is one of the two traces.
type sideView struct {
	Letter  string
	Summary *observev1.TraceSummary
	State   frame.Status
	Facts   []fact
	Bars    []barView // its spans in time, the first of them
}

// barView is a span as a line in the summary of a waterfall.
type barView struct {
	Class    string
	X, Width float64
	Y        int
}

func (s *screens) compare(r *frame.Request) (any, error) {
	a, err := s.wholeTrace(r.Context(), r.Get("a"))
	if err != nil {
		return nil, err
	}
	b, err := s.wholeTrace(r.Context(), r.Get("b"))
	if err != nil {
		return nil, err
	}
	steps := tracediff.Align(a.GetSpans(), b.GetSpans())
	v := compareView{
		Sides: []*sideView{sideOf("A", a), sideOf("B", b)}, Verdict: tracediff.Verdict(a.GetSummary(), b.GetSummary(), steps, frame.Span),
		Swap: r.With("a", r.Get("b"), "b", r.Get("a")), Cut: a.GetNextPageToken() != "" || b.GetNextPageToken() != "",
	}
	for _, one := range []struct{ key, name string }{{"", "All"}, {"differs", "What differs"}, {"one", "In one only"}} {
		v.Tabs = append(v.Tabs, tab{one.name, r.With("only", one.key), r.Get("only") == one.key})
	}
	v.Table = r.Sorted(compareTable(r, steps), "")
	return v, nil
}

// wholeTrace reads a trace with as many spans as are compared.
func (s *screens) wholeTrace(ctx context.Context, id string) (*observev1.GetTraceResponse, error) {
	if !traceID.MatchString(id) {
		return nil, &frame.Problem{
			Status: 422, Title: "Which traces?", Text: "Two are compared, a and b.", Tip: "Choose them in the list of traces, or begin with the page of one.",
		}
	}
	const enough = 5000
	return s.traces.Get(ctx, &observev1.GetTraceRequest{TraceId: strings.ToLower(id), PageSize: enough})
}

func sideOf(letter string, t *observev1.GetTraceResponse) *sideView {
	sum := t.GetSummary()
	v := &sideView{Letter: letter, Summary: sum, State: frame.Status{Word: "fine", Tone: frame.Good}}
	if sum.GetErrors() > 0 {
		v.State = frame.Status{Word: plural(int(sum.GetErrors()), "error"), Tone: frame.Bad}
	}
	v.Facts = []fact{
		{"Began", sum.GetStart().AsTime().Local().Format("2006-01-02 15:04:05.000")}, {"Took", frame.Span(sum.GetDuration().AsDuration())},
		{"Spans", strconv.Itoa(int(sum.GetSpans()))}, {"Services", strings.Join(sum.GetServices(), ", ")},
	}
	began, whole := sum.GetStart().AsTime(), max(sum.GetDuration().AsDuration(), time.Microsecond)
	const enough, height, thinnest = 40, 4, 0.004
	for _, one := range t.GetSpans() {
		if len(v.Bars) == enough {
			break
		}
		b := barView{Class: "bar", Y: height * len(v.Bars)}
		if one.GetCritical() {
			b.Class = "bar s2"
		}
		if one.GetStatus() == observev1.SpanStatus_SPAN_STATUS_ERROR {
			b.Class = "failed"
		}
		b.X = max(0, min(float64(one.GetStart().AsTime().Sub(began))/float64(whole), 1-thinnest))
		b.Width = min(max(float64(one.GetDuration().AsDuration())/float64(whole), thinnest), 1-b.X)
		v.Bars = append(v.Bars, b)
	}
	return v
}

// Height is that of the waterfall's summary.
func (v *sideView) Height() int { return max(4*len(v.Bars), 4) }

func compareTable(r *frame.Request, steps []*tracediff.Step) frame.Table {
	t := frame.Table{
		Caption: "Spans",
		Columns: []frame.Column{
			{Key: "span", Title: "Span", Fixed: true}, {Key: "service", Title: "Service", Fixed: true, Wide: true},
			{Key: "a", Title: "A", Number: true}, {Key: "b", Title: "B", Number: true},
			{Key: "difference", Title: "Difference", Number: true}, {Key: "path", Title: "Critical path", Fixed: true, Wide: true},
		},
		Empty: frame.Empty{Title: "No span is like that", Text: "Both traces consist of the same spans.", Clear: clearOf(r, "only")},
	}
	const most = 1000
	fit, longest := 0, time.Nanosecond
	for _, one := range steps {
		longest = max(longest, one.Difference().Abs())
	}
	for i, one := range steps {
		if r.Get("only") == "one" && one.Common() || r.Get("only") == "differs" && !one.Differs() {
			continue
		}
		if fit++; fit > most {
			continue
		}
		t.Rows = append(t.Rows, compareRow("step-"+strconv.Itoa(i), one, longest))
	}
	t.Note = fmt.Sprintf("%d of %d", len(t.Rows), len(steps))
	return t
}

func compareRow(id string, s *tracediff.Step, longest time.Duration) frame.Row {
	d := s.Difference()
	cell := frame.Cell{Text: "0", Order: d.Seconds()}
	switch {
	case !s.Common() && s.A.Spans > 0:
		cell = frame.Cell{Text: "in A only", Order: d.Seconds(), Status: &frame.Status{Word: "in A only", Tone: frame.Idle}}
	case !s.Common():
		cell = frame.Cell{Text: "in B only", Order: d.Seconds(), Status: &frame.Status{Word: "in B only", Tone: frame.Busy}}
	case d > 0:
		cell.Text, cell.Share = frame.Span(d)+" more", float64(d)/float64(longest)
	case d < 0:
		cell.Text, cell.Share = frame.Span(-d)+" less", float64(-d)/float64(longest)
	}
	var path []string
	for _, one := range []struct {
		letter string
		on     bool
	}{{"A", s.A.Critical}, {"B", s.B.Critical}} {
		if one.on {
			path = append(path, one.letter)
		}
	}
	const deepest = 12
	return frame.Row{ID: id, Cells: []frame.Cell{
		{Text: strings.Repeat("· ", min(s.Depth, deepest)) + s.Name, Title: s.Name}, frame.Text(s.Service),
		tallyCell(s.A), tallyCell(s.B), cell, {Chips: path, Text: strings.Join(path, " ")},
	}}
}

// tallyCell is how long the spans took together, and how many they were if not one.
func tallyCell(t tracediff.Tally) frame.Cell {
	if t.Spans == 0 {
		return frame.Text("–")
	}
	c := frame.Cell{Text: frame.Span(t.Took), Order: t.Took.Seconds()}
	var sub []string
	if t.Spans > 1 {
		sub = append(sub, plural(t.Spans, "span"))
	}
	if t.Failed > 0 {
		sub = append(sub, plural(t.Failed, "error"))
	}
	c.Sub = strings.Join(sub, ", ")
	return c
}

// peers are traces of the same operation to compare one with: the one in the
// middle by duration, and the one before.
func (s *screens) peers(ctx context.Context, sum *observev1.TraceSummary) ([]frame.Link, error) {
	const around, enough = 6 * time.Hour, 200
	at := sum.GetStart().AsTime()
	found, err := s.traces.Search(ctx, &observev1.SearchTracesRequest{
		Service: sum.GetService(), Operation: sum.GetName(), From: timestamppb.New(at.Add(-around)), To: timestamppb.New(at.Add(around)), PageSize: enough,
	})
	if err != nil {
		return nil, err
	}
	same := slices.DeleteFunc(found.GetTraces(), func(one *observev1.TraceSummary) bool {
		return one.GetTraceId() == sum.GetTraceId() || one.GetName() != sum.GetName() || one.GetService() != sum.GetService()
	})
	if len(same) == 0 {
		return nil, nil
	}
	href := func(other *observev1.TraceSummary) string {
		return "/traces/compare?a=" + other.GetTraceId() + "&b=" + sum.GetTraceId()
	}
	var out []frame.Link
	before := slices.DeleteFunc(slices.Clone(same), func(one *observev1.TraceSummary) bool { return !one.GetStart().AsTime().Before(at) })
	slices.SortFunc(same, func(a, b *observev1.TraceSummary) int {
		return cmp.Compare(a.GetDuration().AsDuration(), b.GetDuration().AsDuration())
	})
	out = append(out, frame.Link{Text: "the median of " + plural(len(same), "other"), Href: href(same[len(same)/2])})
	if len(before) > 0 {
		last := slices.MaxFunc(before, func(a, b *observev1.TraceSummary) int { return a.GetStart().AsTime().Compare(b.GetStart().AsTime()) })
		out = append(out, frame.Link{Text: "the one before", Href: href(last)})
	}
	return out, nil
}

// pickable lets two traces of a list be chosen: the first is remembered in the
// link, the second leads to the comparison.
func pickable(r *frame.Request, t *frame.Table, picked string) {
	t.Columns = append(t.Columns, frame.Column{Title: "", Fixed: true})
	for i, row := range t.Rows {
		id := strings.TrimPrefix(row.ID, "trace-")
		link := frame.Link{Text: "Compare", Href: r.With("compare", id)}
		if picked != "" {
			link = frame.Link{Text: "With this", Href: "/traces/compare?a=" + queryEscape(picked) + "&b=" + id}
		}
		cell := frame.Cell{Actions: []frame.Link{link}}
		if id == picked {
			cell = frame.Text("chosen")
		}
		t.Rows[i].Cells = append(row.Cells, cell)
	}
}
