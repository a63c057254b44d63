package console

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

type metricsView struct {
	Query    string
	Chart    *frame.Chart
	Problem  string
	Warnings []string
	Names    []*observev1.Metric
	Begin    []tab
	Targets  *frame.Table
}

// explore draws what a query in PromQL finds.
func (s *screens) explore(r *frame.Request) (any, error) {
	v := metricsView{Query: strings.TrimSpace(r.Get("query"))}
	meta, err := once(r.Context(), s.answers, while, "metadata", func(ctx context.Context) (*observev1.MetadataResponse, error) {
		return s.metrics.Metadata(ctx, &observev1.MetadataRequest{})
	})
	if err != nil {
		return nil, err
	}
	v.Names = meta.GetMetrics()
	for _, one := range []struct{ name, query string }{
		{"Requests by service", rateOf("service", "")}, {"Errors by service", errorsOf("service", "")},
		{"Duration, p99", quantileOf(0.99, "service", "")},
		{"Goroutines", "sum by (service) (go_goroutines)"}, {"Memory", "sum by (service) (process_resident_memory_bytes)"},
		{"Outbox", "sum by (service) (warren_outbox_pending)"}, {"Breakers", "max by (service) (warren_rpc_breaker_state)"},
	} {
		v.Begin = append(v.Begin, tab{one.name, r.With("query", one.query), one.query == v.Query})
	}
	if v.Query != "" {
		chart, resp, err := s.chart(r, plan{"query", "Result", unitOf(v.Query), v.Query, nil})
		switch status.Code(err) {
		case codes.OK:
			v.Warnings = resp.GetWarnings()
		case codes.InvalidArgument, codes.ResourceExhausted, codes.DeadlineExceeded:
			v.Problem = frame.Say(err)
		default:
			return nil, err
		}
		chart.Marks = s.marks(r, "")
		v.Chart = &chart
	}
	targets, err := s.metrics.Targets(r.Context(), &observev1.TargetsRequest{})
	r.Missing("Where they come from", err)
	v.Targets = targetTable(targets.GetTargets())
	return v, nil
}

var (
	scaled = regexp.MustCompile(`^\s*[\d.e]+\s*\*|[*/]\s*[\d.e]+\s*$`)
	meanOf = regexp.MustCompile(`_(seconds|bytes)_sum\b.*/.*_(seconds|bytes)_count\b`)
)

// unitOf guesses the unit of a query from the name of what it asks for. What is
// divided is a share, if it isn't the mean of something.
func unitOf(query string) string {
	if m := meanOf.FindStringSubmatch(query); m != nil && m[1] == m[2] {
		return map[string]string{"seconds": "s", "bytes": "B"}[m[1]]
	}
	switch {
	case scaled.MatchString(query):
		return "" // its own scale, which only who asks knows
	case strings.Contains(query, " / "):
		return "%"
	case strings.Contains(query, "_bytes"):
		return "B"
	case strings.Contains(query, "histogram_quantile") && strings.Contains(query, "_seconds"), strings.HasSuffix(query, "_seconds"):
		return "s"
	case strings.Contains(query, "rate("):
		return "/s"
	}
	return ""
}

func targetTable(targets []*observev1.Target) *frame.Table {
	t := &frame.Table{
		Caption: "Where they come from",
		Columns: []frame.Column{
			{Title: "Instance", Fixed: true},
			{Title: "State", Fixed: true},
			{Title: "Asked", Fixed: true},
			{Title: "Took", Number: true, Fixed: true},
			{Title: "Address", Fixed: true, Wide: true},
		},
		Empty: frame.Empty{Title: "Nothing is asked yet", Text: "Instances are asked for their metrics as soon as they are in the registry."},
		Note:  strconv.Itoa(len(targets)),
	}
	slices.SortFunc(targets, func(a, b *observev1.Target) int { return strings.Compare(a.GetInstance(), b.GetInstance()) })
	for _, one := range targets {
		state := frame.Status{Word: "answers", Tone: frame.Good}
		switch one.GetHealth() {
		case observev1.Target_HEALTH_DOWN:
			state = frame.Status{Word: "does not answer", Tone: frame.Bad}
		case observev1.Target_HEALTH_UNKNOWN, observev1.Target_HEALTH_UNSPECIFIED:
			state = frame.Status{Word: "not asked yet", Tone: frame.Idle}
		}
		t.Rows = append(t.Rows, frame.Row{ID: "target-" + strings.ReplaceAll(one.GetInstance(), "/", "-"), Cells: []frame.Cell{
			frame.Text(one.GetInstance()), {Status: &state, Sub: one.GetError()}, frame.At(one.GetScraped().AsTime()),
			frame.Text(frame.Span(one.GetTook().AsDuration())), frame.Mono(one.GetUrl()),
		}})
	}
	return t
}
