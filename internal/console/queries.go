package console

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

// red is how a service answers: requests, errors, duration.
type red struct {
	rate, errors, p95 float64
	known             bool
}

func (r red) cells() []frame.Cell {
	if !r.known {
		return []frame.Cell{frame.Text("–"), frame.Text("–"), frame.Text("–")}
	}
	errors := frame.Measured(r.errors, "%")
	switch {
	case r.errors > tooManyErrors:
		errors.Status = &frame.Status{Word: errors.Text, Tone: frame.Bad}
	case r.errors > someErrors:
		errors.Status = &frame.Status{Word: errors.Text, Tone: frame.Warn}
	}
	p95 := frame.Measured(r.p95, "s")
	if math.IsNaN(r.p95) {
		p95 = frame.Text("–")
	}
	return []frame.Cell{frame.Measured(r.rate, "/s"), errors, p95}
}

// From so many errors on, something is wrong a little, and wrong.
const someErrors, tooManyErrors = 0.001, 0.1

// serverErrors and requestErrors are the codes and statuses that are the server's fault, the
// same as alerts count: a limit that refuses does what it is for.
const (
	serverErrors  = `rpc_response_status_code=~"UNKNOWN|DEADLINE_EXCEEDED|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS"`
	requestErrors = `http_response_status_code=~"5.."`
)

// aCall selects what was called by contract, and leaves out plain HTTP.
const aCall = `rpc_method!=""`

// window is what rates are taken over.
const window = "1m"

// answered is the rate of what services answer: calls by contract and, where they serve plain
// HTTP as a web site and the gateway do, requests. Both have the same buckets.
func answered(series, calls, requests string) string {
	return fmt.Sprintf(`rate(rpc_server_call_duration_seconds_%[1]s{%[2]s}[%[4]s]) or rate(http_server_request_duration_seconds_%[1]s{%[3]s}[%[4]s])`,
		series, calls, requests, window)
}

func rateOf(by, where string) string {
	return fmt.Sprintf(`sum by (%s) (%s)`, by, answered("count", where, where))
}

func errorsOf(by, where string) string {
	also := where
	if where != "" {
		also += ","
	}
	failed := fmt.Sprintf(`sum by (%s) (%s)`, by, answered("count", also+serverErrors, also+requestErrors))
	rate := rateOf(by, where)
	return fmt.Sprintf(`(%s or 0 * %s) / (%s > 0)`, failed, rate, rate)
}

func quantileOf(q float64, by, where string) string {
	return fmt.Sprintf(`histogram_quantile(%v, sum by (%s, le) (%s))`, q, by, answered("bucket", where, where))
}

// red asks how all services answer.
func (s *screens) red(ctx context.Context) (map[string]red, error) {
	return s.redBy(ctx, "service", "", service)
}

// redBy asks how what is called by name answers, told apart by labels.
func (s *screens) redBy(ctx context.Context, by, where string, name func(map[string]string) string) (map[string]red, error) {
	out := map[string]red{}
	for _, q := range []struct {
		query string
		set   func(*red, float64)
	}{
		{rateOf(by, where), func(r *red, v float64) { r.rate, r.known = v, true }},
		{errorsOf(by, where), func(r *red, v float64) { r.errors = v }},
		{quantileOf(0.95, by, where), func(r *red, v float64) { r.p95 = v }},
	} {
		resp, err := s.instant(ctx, q.query)
		if err != nil {
			return nil, err
		}
		for _, sample := range resp.GetSamples() {
			one := out[name(sample.GetLabels())]
			q.set(&one, sample.GetValue())
			out[name(sample.GetLabels())] = one
		}
	}
	return out, nil
}

// plan is a chart to be asked for.
type plan struct {
	id, title, unit, query string
	label                  func(map[string]string) string
}

// charts asks for several, one after the other.
func (s *screens) charts(r *frame.Request, marks []frame.Mark, plans ...plan) ([]frame.Chart, error) {
	var out []frame.Chart
	for _, p := range plans {
		c, _, err := s.chart(r, p)
		if err != nil {
			return nil, err
		}
		c.Marks = marks
		out = append(out, c)
	}
	return out, nil
}

func (s *screens) chart(r *frame.Request, p plan) (frame.Chart, *observev1.QueryRangeResponse, error) {
	c := frame.Chart{
		ID: p.id, Title: p.title, Unit: p.unit, Empty: frame.Empty{Title: "Nothing measured yet", Text: "There is no sample in this span of time."},
	}
	resp, err := s.course(r, p.query, func(ctx context.Context) (*observev1.QueryRangeResponse, error) {
		return s.metrics.QueryRange(ctx, &observev1.QueryRangeRequest{
			Query: p.query, Start: timestamppb.New(r.Range.From), End: timestamppb.New(r.Range.To), Step: durationpb.New(stepOf(r.Range)),
		})
	})
	if err != nil {
		return c, nil, err
	}
	fill(&c, resp.GetSeries(), p.label)
	return c, resp, nil
}

// stepOf gives a chart about as many points as it can show.
func stepOf(span frame.Range) time.Duration {
	const points = 240
	return max(span.To.Sub(span.From)/points, 2*time.Second).Truncate(time.Second)
}

// fill puts series of different moments into one chart.
func fill(c *frame.Chart, series []*observev1.Series, label func(map[string]string) string) {
	at := map[int64]int{}
	var moments []int64
	for _, one := range series {
		for _, p := range one.GetPoints() {
			ms := p.GetTime().AsTime().UnixMilli()
			if _, ok := at[ms]; !ok {
				at[ms] = 0
				moments = append(moments, ms)
			}
		}
	}
	slices.Sort(moments)
	for i, ms := range moments {
		at[ms] = i
		c.Times = append(c.Times, time.UnixMilli(ms))
	}
	if label == nil {
		label = labelText
	}
	for _, one := range series {
		l := frame.Line{Name: label(one.GetLabels()), Values: slices.Repeat([]float64{math.NaN()}, len(moments))}
		for _, p := range one.GetPoints() {
			l.Values[at[p.GetTime().AsTime().UnixMilli()]] = p.GetValue()
		}
		c.Lines = append(c.Lines, l)
	}
	slices.SortStableFunc(c.Lines, func(a, b frame.Line) int { return strings.Compare(a.Name, b.Name) })
}

// labelText is what tells a series from others.
func labelText(labels map[string]string) string {
	var parts []string
	for name, value := range labels {
		if name != "__name__" {
			parts = append(parts, name+"="+strconv.Quote(value))
		}
	}
	slices.Sort(parts)
	name := labels["__name__"]
	if len(parts) == 0 {
		if name == "" {
			return "value"
		}
		return name
	}
	return name + "{" + strings.Join(parts, ", ") + "}"
}

func (s *screens) serviceCharts(r *frame.Request, service string) ([]frame.Chart, error) {
	where := "service=" + strconv.Quote(service)
	byCode := func(l map[string]string) string {
		return cmp.Or(l["rpc_response_status_code"], l["http_response_status_code"])
	}
	one := func(name string) func(map[string]string) string {
		return func(map[string]string) string { return name }
	}
	byInstance := func(l map[string]string) string { return l["instance"] }
	marks := s.marks(r, service)
	charts, err := s.charts(r, marks,
		plan{"rate", "Requests", "/s", rateOf("rpc_response_status_code, http_response_status_code", where), byCode},
		plan{"errors", "Errors", "%", errorsOf("service", where), one("errors")},
		plan{"p95", "Duration, p95", "s", quantileOf(0.95, "service", where), one("p95")},
		plan{"memory", "Memory", "B", `sum by (instance) (process_resident_memory_bytes{` + where + `})`, byInstance},
		plan{"goroutines", "Goroutines", "", `sum by (instance) (go_goroutines{` + where + `})`, byInstance},
		plan{"cpu", "Processor", "", `sum by (instance) (rate(process_cpu_seconds_total{` + where + `}[` + window + `]))`, byInstance},
	)
	return charts, err
}

// methodTable is how a service's methods answer, and its routes of plain HTTP.
func (s *screens) methodTable(r *frame.Request, service string) (*frame.Table, error) {
	methods, err := s.redBy(r.Context(), "rpc_method, http_request_method, http_route", "service="+strconv.Quote(service), calledName)
	if err != nil {
		return nil, err
	}
	t := frame.Table{
		Caption: "Methods",
		Columns: []frame.Column{
			{Title: "Method", Fixed: true}, {Title: "Requests", Number: true, Fixed: true}, {Title: "Errors", Number: true, Fixed: true},
			{Title: "p95", Number: true, Fixed: true},
		},
		Empty: frame.Empty{Title: "Nothing was called in the last minute", Text: "Calls appear here as soon as there are some."},
	}
	for name, one := range methods {
		if one.rate > 0 {
			cells := append([]frame.Cell{frame.Mono(name)}, one.cells()...)
			t.Rows = append(t.Rows, frame.Row{ID: "method-" + strings.ReplaceAll(name, " ", "-"), Cells: cells})
		}
	}
	slices.SortFunc(t.Rows, func(a, b frame.Row) int { return strings.Compare(a.Cells[0].Text, b.Cells[0].Text) })
	return &t, nil
}

// calledName is a method of a contract, or a route.
func calledName(l map[string]string) string {
	if l["rpc_method"] != "" {
		return strings.TrimPrefix(l["rpc_method"], "/")
	}
	return l["http_request_method"] + " " + cmp.Or(l["http_route"], "(no such page)")
}
