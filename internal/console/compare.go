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
	steps := align(a.GetSpans(), b.GetSpans())
	v := compareView{
		Sides: []*sideView{sideOf("A", a), sideOf("B", b)}, Verdict: compared(a.GetSummary(), b.GetSummary(), steps),
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

// step is what both traces did in the same place: below the same callers, under
// the same name. Who did it several times has one step with all of them.
type step struct {
	id, service, name string
	depth             int
	a, b              tally
}

// tally sums up the spans of a step in one trace.
type tally struct {
	spans, failed int
	took, self    time.Duration
	critical      bool
}

func (t *tally) add(one *observev1.Span) {
	t.spans++
	t.took += one.GetDuration().AsDuration()
	t.self += one.GetSelf().AsDuration()
	t.critical = t.critical || one.GetCritical()
	if one.GetStatus() == observev1.SpanStatus_SPAN_STATUS_ERROR {
		t.failed++
	}
}

// difference is by how much b took longer.
func (s *step) difference() time.Duration { return s.b.took - s.a.took }

func (s *step) common() bool { return s.a.spans > 0 && s.b.spans > 0 }

// branches are the steps below a step, in the order in which they came.
type branches struct {
	step  *step
	below map[string]*branches
	order []*branches
}

// align lays the spans of two traces over each other, by service and name from
// the root on, and lists the steps as a waterfall does.
func align(a, b []*observev1.Span) []*step {
	root := &branches{}
	root.lay(a, func(s *step) *tally { return &s.a })
	root.lay(b, func(s *step) *tally { return &s.b })
	var out []*step
	var walk func(*branches)
	walk = func(t *branches) {
		for _, one := range t.order {
			one.step.id = "step-" + strconv.Itoa(len(out))
			out = append(out, one.step)
			walk(one)
		}
	}
	walk(root)
	return out
}

func (t *branches) lay(spans []*observev1.Span, side func(*step) *tally) {
	above := []*branches{t}     // the way from the root to the span before
	for _, one := range spans { // each below its parent, as a waterfall lists them
		depth := max(0, min(int(one.GetDepth()), len(above)-1))
		here := above[depth].child(one)
		side(here.step).add(one)
		above = append(above[:depth+1], here)
	}
}

func (t *branches) child(one *observev1.Span) *branches {
	key := one.GetService() + "\x00" + one.GetName()
	if found := t.below[key]; found != nil {
		return found
	}
	depth := 0
	if t.step != nil {
		depth = t.step.depth + 1
	}
	made := &branches{step: &step{service: one.GetService(), name: strings.TrimPrefix(one.GetName(), "/"), depth: depth}}
	if t.below == nil {
		t.below = map[string]*branches{}
	}
	t.below[key] = made
	t.order = append(t.order, made)
	return made
}

// compared says in a sentence which was slower, and where most of that is.
func compared(a, b *observev1.TraceSummary, steps []*step) string {
	d := b.GetDuration().AsDuration() - a.GetDuration().AsDuration()
	if d == 0 {
		return "Both took the same time."
	}
	slower, sign := "B", time.Duration(1)
	if d < 0 {
		slower, sign = "A", -1
	}
	text := fmt.Sprintf("%s took %s longer.", slower, frame.Span(sign*d))
	var most *step
	for _, one := range steps {
		if most == nil || sign*(one.b.self-one.a.self) > sign*(most.b.self-most.a.self) {
			most = one
		}
	}
	if most != nil {
		if self := sign * (most.b.self - most.a.self); self > 0 {
			text += fmt.Sprintf(" Most of it is %s: %s itself took %s longer.", most.service, most.name, frame.Span(self))
		}
	}
	return text
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

func compareTable(r *frame.Request, steps []*step) frame.Table {
	t := frame.Table{
		Caption: "Spans",
		Columns: []frame.Column{
			{Key: "span", Title: "Span", Fixed: true}, {Key: "service", Title: "Service", Fixed: true, Wide: true}, {Key: "a", Title: "A", Number: true}, {Key: "b", Title: "B", Number: true},
			{Key: "difference", Title: "Difference", Number: true}, {Key: "path", Title: "Critical path", Fixed: true, Wide: true},
		},
		Empty: frame.Empty{Title: "No span is like that", Text: "Both traces consist of the same spans.", Clear: clearOf(r, "only")},
	}
	const most = 1000
	fit, longest := 0, time.Nanosecond
	for _, one := range steps {
		longest = max(longest, one.difference().Abs())
	}
	for _, one := range steps {
		if r.Get("only") == "one" && one.common() || r.Get("only") == "differs" && !differs(one) {
			continue
		}
		if fit++; fit > most {
			continue
		}
		t.Rows = append(t.Rows, compareRow(one, longest))
	}
	t.Note = fmt.Sprintf("%d of %d", len(t.Rows), len(steps))
	return t
}

// differs tells whether a step is worth a look: by a tenth, or a failure.
func differs(s *step) bool {
	const least, part = time.Millisecond, 10
	d := s.difference().Abs()
	return !s.common() || s.a.failed != s.b.failed || s.a.spans != s.b.spans || d > least && d > min(s.a.took, s.b.took)/part
}

func compareRow(s *step, longest time.Duration) frame.Row {
	d := s.difference()
	cell := frame.Cell{Text: "0", Order: d.Seconds()}
	switch {
	case !s.common() && s.a.spans > 0:
		cell = frame.Cell{Text: "in A only", Order: d.Seconds(), Status: &frame.Status{Word: "in A only", Tone: frame.Idle}}
	case !s.common():
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
	}{{"A", s.a.critical}, {"B", s.b.critical}} {
		if one.on {
			path = append(path, one.letter)
		}
	}
	const deepest = 12
	return frame.Row{ID: s.id, Cells: []frame.Cell{
		{Text: strings.Repeat("· ", min(s.depth, deepest)) + s.name, Title: s.name}, frame.Text(s.service), s.a.cell(), s.b.cell(), cell, {Chips: path, Text: strings.Join(path, " ")},
	}}
}

// cell is how long the spans took together, and how many they were if not one.
func (t *tally) cell() frame.Cell {
	if t.spans == 0 {
		return frame.Text("–")
	}
	c := frame.Cell{Text: frame.Span(t.took), Order: t.took.Seconds()}
	var sub []string
	if t.spans > 1 {
		sub = append(sub, plural(t.spans, "span"))
	}
	if t.failed > 0 {
		sub = append(sub, plural(t.failed, "error"))
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
