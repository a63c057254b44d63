package console

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

type traceView struct {
	Summary *observev1.TraceSummary
	State   frame.Status
	Spans   []spanView
	Legend  []legend
	Ticks   []string
	Query   string
	Chosen  *spanDetail
	Hidden  int
	Inline  bool   // whether lines stand below their spans
	Lines   []line // the others
	Facts   []fact
	Only    string
	About   []related
	Compare []frame.Link
	Cut     []string
}

type legend struct{ Class, Name string }

// related is what a trace belongs to, and where that is shown.
type related struct {
	Name, Text string
	Links      []frame.Link
}

// spanView is a row of the waterfall; X and Width are shares of the whole.
type spanView struct {
	ID, Name, Service, Class, Href, Took string
	Indent                               int
	X, Width                             float64
	Failed, Critical, Async, Here        bool
	Missing                              bool
	Links                                int
	Lines                                []line
}

type spanDetail struct {
	*observev1.Span
	Facts  []fact
	Links  []frame.Link
	Events []happened
}

func (s *screens) trace(r *frame.Request) (any, error) {
	id := r.PathValue("trace")
	found, err := s.traces.Get(r.Context(), &observev1.GetTraceRequest{TraceId: id, PageSize: 2000})
	if err != nil {
		return nil, err
	}
	sum := found.GetSummary()
	v := traceView{Summary: sum, Query: r.Get("q"), Only: r.Get("only"), Inline: r.Get("lines") != "below", State: frame.Status{Word: "fine", Tone: frame.Good}}
	if sum.GetErrors() > 0 {
		v.State = frame.Status{Word: plural(int(sum.GetErrors()), "error"), Tone: frame.Bad}
	}
	if found.GetNextPageToken() != "" {
		v.Cut = append(v.Cut, fmt.Sprintf("Only the first %d of its %d spans are shown.", len(found.GetSpans()), sum.GetSpans()))
	}
	v.place(r, found.GetSpans(), found.GetResources())
	took := sum.GetDuration().AsDuration()
	const parts = 4
	for i := range parts + 1 {
		v.Ticks = append(v.Ticks, frame.Span(took*time.Duration(i)/parts))
	}
	v.Ticks[0] = "0"
	v.Facts = []fact{
		{"Began", sum.GetStart().AsTime().Local().Format("2006-01-02 15:04:05.000")},
		{"Took", frame.Span(took)},
		{"Spans", strconv.Itoa(int(sum.GetSpans()))},
		{"Trace", sum.GetTraceId()},
	}
	v.About = relatedTo(sum)
	v.Compare, err = s.peers(r.Context(), sum)
	r.Missing("Traces to compare it with", err)
	lines, more, err := s.linesOfTrace(r, sum)
	r.Missing("Its log lines", err)
	if more {
		v.Cut = append(v.Cut, fmt.Sprintf("Only the last %d of its log lines are shown.", len(lines)))
	}
	v.log(lines)
	return v, nil
}

// linesOfTrace are what was written on behalf of a trace, the first line first.
func (s *screens) linesOfTrace(r *frame.Request, sum *observev1.TraceSummary) (lines []line, more bool, err error) {
	const margin, enough = time.Minute, 200
	began := sum.GetStart().AsTime()
	found, err := s.logs.Search(r.Context(), &observev1.SearchLogsRequest{
		Filter: &observev1.LogFilter{TraceId: sum.GetTraceId()}, From: timestamppb.New(began.Add(-margin)),
		To: timestamppb.New(began.Add(sum.GetDuration().AsDuration() + margin)), PageSize: enough,
	})
	lines = linesOf(found.GetLines())
	slices.Reverse(lines)
	return lines, found.GetNextPageToken() != "", err
}

// log puts lines below the spans during which they were written. Those of spans
// that aren't shown are listed apart, or all of them.
func (v *traceView) log(lines []line) {
	at := map[string]int{}
	for i, one := range v.Spans {
		at[one.ID] = i
	}
	for _, l := range lines {
		i, ok := at[l.Span]
		if !v.Inline || !ok {
			v.Lines = append(v.Lines, l)
			continue
		}
		l.Trace = "" // it is this one
		v.Spans[i].Lines = append(v.Spans[i].Lines, l)
	}
}

// relatedTo are the transaction and the order of a trace.
func relatedTo(sum *observev1.TraceSummary) []related {
	var out []related
	began := sum.GetStart().AsTime()
	if gid := sum.GetGid(); gid != "" {
		out = append(out, related{"Transaction", gid, []frame.Link{
			{Text: "its steps", Href: txnHref(gid)}, {Text: "its traces", Href: tracesOf("gid", gid, began)},
			{Text: "its log lines", Href: linesNaming(gid, began)},
		}})
	}
	if order := sum.GetOrderId(); order != "" {
		out = append(out, related{"Order", order, append(
			[]frame.Link{{Text: "its transaction", Href: "/search?q=" + queryEscape(order)}}, orderLinks(order, began)...,
		)})
	}
	return out
}

// place lays the spans along the trace's time.
func (v *traceView) place(r *frame.Request, spans []*observev1.Span, resources []*observev1.Resource) {
	began, whole := v.Summary.GetStart().AsTime(), max(v.Summary.GetDuration().AsDuration(), time.Microsecond)
	for _, one := range spans {
		if end := one.GetStart().AsTime().Add(one.GetDuration().AsDuration()).Sub(began); end > whole {
			whole = end // of events, which end after what caused them
		}
	}
	classes := map[string]string{}
	for _, one := range spans {
		if _, ok := classes[one.GetService()]; !ok {
			const colours = 8
			classes[one.GetService()] = "s" + strconv.Itoa(len(classes)%colours)
			v.Legend = append(v.Legend, legend{classes[one.GetService()], one.GetService()})
		}
		if r.Get("span") == one.GetSpanId() {
			v.Chosen = detail(one, resources)
		}
		if !v.shows(one) {
			v.Hidden++
			continue
		}
		const deepest, thinnest = 12, 0.003
		x := float64(one.GetStart().AsTime().Sub(began)) / float64(whole)
		width := max(float64(one.GetDuration().AsDuration())/float64(whole), thinnest)
		v.Spans = append(v.Spans, spanView{
			ID: one.GetSpanId(), Name: strings.TrimPrefix(one.GetName(), "/"), Service: one.GetService(), Class: classes[one.GetService()],
			Href: r.With("span", one.GetSpanId()), Took: frame.Span(one.GetDuration().AsDuration()), Indent: 12 * min(int(one.GetDepth()), deepest),
			X: max(0, min(x, 1-thinnest)), Width: min(width, 1-max(0, min(x, 1-thinnest))),
			Failed: one.GetStatus() == observev1.SpanStatus_SPAN_STATUS_ERROR, Critical: one.GetCritical(),
			Async: one.GetKind() == observev1.SpanKind_SPAN_KIND_CONSUMER || one.GetKind() == observev1.SpanKind_SPAN_KIND_PRODUCER,
			Here:  r.Get("span") == one.GetSpanId(), Missing: one.GetMissingParent(), Links: len(one.GetLinks()),
		})
	}
}

// shows tells whether a span fits what is looked for in the trace.
func (v *traceView) shows(one *observev1.Span) bool {
	switch {
	case v.Only == "errors" && one.GetStatus() != observev1.SpanStatus_SPAN_STATUS_ERROR, v.Only == "critical" && !one.GetCritical():
		return false
	case v.Query == "":
		return true
	}
	text := []string{one.GetName(), one.GetService(), one.GetStatusMessage()}
	for _, a := range one.GetAttributes() {
		text = append(text, a.GetKey()+"="+attributeText(a))
	}
	return strings.Contains(strings.ToLower(strings.Join(text, " ")), strings.ToLower(v.Query))
}

func detail(one *observev1.Span, resources []*observev1.Resource) *spanDetail {
	d := &spanDetail{Span: one}
	d.Facts = append(d.Facts, fact{"Service", one.GetService()}, fact{"Kind", strings.ToLower(strings.TrimPrefix(one.GetKind().String(), "SPAN_KIND_"))},
		fact{"Took", frame.Span(one.GetDuration().AsDuration())}, fact{"Of it itself", frame.Span(one.GetSelf().AsDuration())})
	if i := int(one.GetResource()); i < len(resources) {
		d.Facts = append(d.Facts, fact{"Instance", cmp.Or(resources[i].GetInstance(), "–")}, fact{"Version", cmp.Or(resources[i].GetVersion(), "–")})
	}
	if one.GetAdjusted() != nil {
		d.Facts = append(d.Facts, fact{"Moved for a clock that differs", frame.Span(one.GetAdjusted().AsDuration())})
	}
	for _, a := range one.GetAttributes() {
		d.Facts = append(d.Facts, fact{a.GetKey(), attributeText(a)})
	}
	for _, e := range one.GetEvents() {
		h := happened{Time: e.GetTime().AsTime(), What: e.GetName(), Tone: frame.Idle}
		for _, a := range e.GetAttributes() {
			h.By += a.GetKey() + "=" + attributeText(a) + " "
		}
		d.Events = append(d.Events, h)
	}
	for _, l := range one.GetLinks() {
		d.Links = append(
			d.Links, frame.Link{Text: l.GetTraceId()[:min(8, len(l.GetTraceId()))] + "…", Href: "/traces/" + l.GetTraceId() + "?span=" + l.GetSpanId()},
		)
	}
	return d
}
