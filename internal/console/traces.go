package console

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

type tracesView struct {
	Table                           *frame.Table
	Services                        []string
	Operations                      []string
	Service, Operation, Least, Gid  string
	Attribute, Value                string
	Attributes                      []string
	Errors, Slowest, Partial, Known bool
	Picked, Unpick, Problem         string
	Kept                            *keptView
}

// Export is the list of traces.
func (v tracesView) Export() *frame.Table { return v.Table }

func (s *screens) traceList(r *frame.Request) (any, error) {
	v := tracesView{
		Service: r.Get("service"), Operation: r.Get("operation"), Least: r.Get("least"), Gid: r.Get("gid"), Errors: r.Get("errors") != "",
		Slowest:   r.Get("order") == "slowest",
		Attribute: r.Get("attribute"), Value: r.Get("value"),
	}
	names, err := s.traces.Names(r.Context(), &observev1.NamesRequest{})
	r.Missing("Names to choose from", err)
	for _, one := range names.GetServices() {
		v.Services = append(v.Services, one.GetService())
		if one.GetService() == v.Service {
			v.Operations = one.GetOperations()
		}
	}
	v.Attributes = names.GetAttributes()
	request := &observev1.SearchTracesRequest{
		Service: v.Service, Operation: v.Operation, ErrorsOnly: v.Errors, Gid: v.Gid, OrderId: r.Get("order-id"),
		From: timestamppb.New(r.Range.From), To: timestamppb.New(r.Range.To), PageSize: 100, PageToken: r.Get("page"),
	}
	if request.MinDuration, v.Problem = leastOf(v.Least); v.Problem != "" {
		r.Fail(http.StatusUnprocessableEntity)
		v.Table = &frame.Table{Empty: frame.Empty{Title: "Nothing was searched for", Text: "Say it anew, or leave it out.", Clear: r.With("least", "")}}
		return v, nil
	}
	if v.Slowest {
		request.Order = observev1.TraceOrder_TRACE_ORDER_SLOWEST
	}
	if v.Attribute != "" && v.Value != "" {
		request.Attributes = map[string]string{v.Attribute: v.Value}
	}
	found, err := seldom(r, s.answers, "traces "+r.Get("page"), func(ctx context.Context) (*observev1.SearchTracesResponse, error) {
		return s.traces.Search(ctx, request)
	})
	if err != nil {
		return nil, err
	}
	v.Partial, v.Kept = found.GetPartial(), s.kept(r)
	t := traceTable(found.GetTraces())
	t.Empty.Clear = clearOf(r, "service", "operation", "least", "errors", "gid", "attribute", "value", "order-id")
	if t.Empty.Clear != "" {
		t.Empty.Title, t.Empty.Text, t.Empty.Code = "No trace is like that", "None in this span of time fits all filters.", ""
	}
	if found.GetNextPageToken() != "" {
		t.More = r.With("page", found.GetNextPageToken())
	}
	v.Picked, v.Unpick = r.Get("compare"), r.With("compare", "")
	pickable(r, &t, v.Picked)
	v.Table = &t
	if r.Get("sort") != "" {
		v.Table = r.Sorted(t, "")
	}
	return v, nil
}

// leastOf reads the least duration of what is searched for; of a number without a
// unit nobody knows what it means.
func leastOf(text string) (least *durationpb.Duration, problem string) {
	text = strings.ReplaceAll(text, " ", "")
	if text == "" {
		return nil, ""
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return nil, strconv.Quote(text) + " is no duration: want one such as 100ms or 1.5s."
	}
	return durationpb.New(d), ""
}

func traceTable(all []*observev1.TraceSummary) frame.Table {
	t := frame.Table{
		Caption: "Traces",
		Columns: []frame.Column{
			{Key: "name", Title: "Trace"}, {Key: "result", Title: "Result"}, {Key: "took", Title: "Took", Number: true},
			{Key: "spans", Title: "Spans", Number: true, Wide: true},
			{Key: "services", Title: "Services", Wide: true, Fixed: true}, {Key: "began", Title: "Began", Number: true},
		},
		Empty: frame.Empty{
			Title: "No traces in this span of time",
			Text: "Every request makes one: each hop, query, event and step of a saga is a span in it. Call something, and it appears; " +
				"this lists what there is to call:",
			Code: "warren routes",
		},
		Note: strconv.Itoa(len(all)),
	}
	longest := time.Nanosecond
	for _, one := range all {
		longest = max(longest, one.GetDuration().AsDuration())
	}
	for _, one := range all {
		result := frame.Stated("fine", frame.Good)
		if one.GetErrors() > 0 {
			result = frame.Stated(plural(int(one.GetErrors()), "error"), frame.Bad)
		}
		about := slices.DeleteFunc([]string{one.GetService(), one.GetOrderId(), one.GetGid()}, func(text string) bool { return text == "" })
		took := one.GetDuration().AsDuration()
		t.Rows = append(t.Rows, frame.Row{ID: "trace-" + one.GetTraceId(), Href: "/traces/" + one.GetTraceId(), Cells: []frame.Cell{
			{Text: strings.TrimPrefix(one.GetName(), "/"), Sub: strings.Join(about, " · ")}, result,
			{Text: frame.Span(took), Order: took.Seconds(), Share: float64(took) / float64(longest)},
			frame.Number(int64(one.GetSpans())), {Chips: few(one.GetServices())}, frame.At(one.GetStart().AsTime()),
		}})
	}
	return t
}

// few leaves out what would make a row long.
func few(names []string) []string {
	const enough = 4
	if len(names) <= enough {
		return names
	}
	return append(names[:enough:enough], fmt.Sprintf("+%d", len(names)-enough))
}

// Transaction is the page of the transaction whose traces are searched for.
func (v tracesView) Transaction() string { return txnHref(v.Gid) }
