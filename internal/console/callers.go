package console

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

// callers are the services that have called a method in the span of time, as
// they have counted it themselves.
func (s *screens) callers(r *frame.Request, method string) (*frame.Table, error) {
	t := &frame.Table{
		Caption: "Called by",
		Columns: []frame.Column{
			{Key: "service", Title: "Service", Fixed: true}, {Key: "rate", Title: "Calls", Number: true, Fixed: true},
			{Key: "errors", Title: "Errors", Number: true, Fixed: true}, {Key: "p95", Title: "p95", Number: true, Fixed: true},
		},
		Empty: frame.Empty{Title: "Nobody has called it", Text: "No service counted a call of it in this span of time."},
	}
	all, err := s.calling(r, method)
	if err != nil {
		return nil, err
	}
	for name, one := range all {
		if one.rate > 0 {
			t.Rows = append(t.Rows, frame.Row{ID: "caller-" + name, Href: serviceHref(name), Cells: append([]frame.Cell{frame.Text(name)}, one.cells()...)})
		}
	}
	slices.SortFunc(t.Rows, func(a, b frame.Row) int { return strings.Compare(a.ID, b.ID) })
	return t, nil
}

// calling asks how a method answered, by who called it.
func (s *screens) calling(r *frame.Request, method string) (map[string]red, error) {
	over := fmt.Sprintf("%ds", max(1, int(r.Range.To.Sub(r.Range.From).Seconds())))
	where := "rpc_method=" + strconv.Quote(method)
	count := func(where string) string {
		return fmt.Sprintf(`sum by (service) (rate(rpc_client_call_duration_seconds_count{%s}[%s]))`, where, over)
	}
	out := map[string]red{}
	for _, q := range []struct {
		query string
		set   func(*red, float64)
	}{
		{count(where), func(r *red, v float64) { r.rate, r.known = v, true }},
		{fmt.Sprintf("(%s or 0 * %s) / (%s > 0)", count(where+","+serverErrors), count(where), count(where)), func(r *red, v float64) { r.errors = v }},
		{
			fmt.Sprintf(`histogram_quantile(0.95, sum by (service, le) (rate(rpc_client_call_duration_seconds_bucket{%s}[%s])))`, where, over),
			func(r *red, v float64) { r.p95 = v },
		},
	} {
		resp, err := s.metrics.Query(r.Context(), &observev1.QueryRequest{Query: q.query, Time: timestamppb.New(r.Range.To)})
		if err != nil {
			return nil, err
		}
		for _, sample := range resp.GetSamples() {
			name := sample.GetLabels()["service"]
			one := out[name]
			q.set(&one, sample.GetValue())
			out[name] = one
		}
	}
	return out, nil
}

// watchedTraces is of how many traces whom a method calls is read.
const watchedTraces = 10

// callee is somebody whom a method was seen to call.
type callee struct {
	kind, name string
	times      int
	failed     int
	took       []time.Duration
}

// callees are whom a method called in some of its latest traces: other methods,
// databases and topics. Only traces tell what was done on whose behalf.
func (s *screens) callees(r *frame.Request, method string) (*frame.Table, error) {
	found, err := s.traces.Search(r.Context(), &observev1.SearchTracesRequest{
		Operation: method, From: timestamppb.New(r.Range.From), To: timestamppb.New(r.Range.To), PageSize: watchedTraces,
	})
	if err != nil {
		return nil, err
	}
	all := map[string]*callee{}
	handled := 0
	for _, sum := range found.GetTraces() {
		const enough = 2000
		one, err := s.traces.Get(r.Context(), &observev1.GetTraceRequest{TraceId: sum.GetTraceId(), PageSize: enough})
		if err != nil {
			continue // dropped meanwhile
		}
		handled += observe(all, one.GetSpans(), method)
	}
	t := &frame.Table{
		Caption: "Calls",
		Columns: []frame.Column{
			{Key: "what", Title: "What", Fixed: true}, {Key: "kind", Title: "Kind", Fixed: true, Wide: true},
			{Key: "times", Title: "Times a call", Number: true, Fixed: true}, {Key: "took", Title: "Median", Number: true, Fixed: true},
			{Key: "failed", Title: "Failed", Number: true, Fixed: true},
		},
		Empty: frame.Empty{
			Title: "It was not seen to call anybody",
			Text:  "No trace of it in this span of time shows a call to another service, a database or a topic.",
		},
		Note: "as seen in " + plural(handled, "call") + " of the latest traces",
	}
	for _, one := range all {
		slices.Sort(one.took)
		row := frame.Row{ID: "callee-" + strconv.Itoa(len(t.Rows)), Cells: []frame.Cell{
			frame.Text(one.name), frame.Text(one.kind), frame.Measured(float64(one.times)/float64(max(1, handled)), ""),
			frame.Measured(one.took[len(one.took)/2].Seconds(), "s"), frame.Number(int64(one.failed)),
		}}
		if contract, name, ok := strings.Cut(one.name, "/"); ok && one.kind == "method" {
			row.Href = methodHref(contract, name)
		}
		t.Rows = append(t.Rows, row)
	}
	slices.SortFunc(t.Rows, func(a, b frame.Row) int {
		return strings.Compare(a.Cells[1].Text+a.Cells[0].Text, b.Cells[1].Text+b.Cells[0].Text)
	})
	return t, nil
}

// observe adds what the handlings of a method did within one trace, and returns
// how many there were.
func observe(all map[string]*callee, spans []*observev1.Span, method string) int {
	served := map[string]bool{} // spans that handle the method
	within := map[string]bool{} // spans on their behalf, in the same process
	handled := 0
	for _, one := range spans { // parents come before children
		name := strings.TrimPrefix(one.GetName(), "/")
		switch {
		case one.GetKind() == observev1.SpanKind_SPAN_KIND_SERVER && name == method:
			served[one.GetSpanId()] = true
			handled++
			continue
		case !served[one.GetParentId()] && !within[one.GetParentId()]:
			continue
		}
		switch one.GetKind() {
		case observev1.SpanKind_SPAN_KIND_CLIENT, observev1.SpanKind_SPAN_KIND_PRODUCER:
			note(all, one, name)
		case observev1.SpanKind_SPAN_KIND_INTERNAL:
			within[one.GetSpanId()] = true
		}
	}
	return handled
}

func note(all map[string]*callee, one *observev1.Span, name string) {
	kind := "method"
	switch {
	case one.GetKind() == observev1.SpanKind_SPAN_KIND_PRODUCER:
		kind = "topic"
	case attribute(one, "db.system.name") != "":
		kind = "database"
	}
	c := all[kind+name]
	if c == nil {
		c = &callee{kind: kind, name: name}
		all[kind+name] = c
	}
	c.times++
	c.took = append(c.took, one.GetDuration().AsDuration())
	if one.GetStatus() == observev1.SpanStatus_SPAN_STATUS_ERROR {
		c.failed++
	}
}

func attribute(one *observev1.Span, key string) string {
	for _, a := range one.GetAttributes() {
		if a.GetKey() == key {
			return attributeText(a)
		}
	}
	return ""
}
