package signals

import (
	"cmp"
	"context"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/signals/archive"
	"github.com/gowarren/warren/internal/signals/segment"
	"github.com/gowarren/warren/rpc"
)

// defaultPatience is how long a search looks: what it has found until then is its
// answer, and it says that there may be more.
const defaultPatience = 350 * time.Millisecond

// Sizes of pages, where none is asked for and at most.
const (
	tracesOnPage = 50
	spansOnPage  = 1000
	pageBytes    = 3 << 20 // below what gRPC takes by default
)

type traceService struct {
	observev1.UnimplementedTraceServiceServer
	signals *Signals
}

func (s *traceService) Search(_ context.Context, req *observev1.SearchTracesRequest) (*observev1.SearchTracesResponse, error) {
	q := archive.TraceSearch{
		Service: req.GetService(), Operation: req.GetOperation(), Errors: req.GetErrorsOnly(),
		Min: req.GetMinDuration().AsDuration(), Max: req.GetMaxDuration().AsDuration(),
		Attributes: maps.Clone(req.GetAttributes()), From: nanos(req.GetFrom()), To: nanos(req.GetTo()),
		Slowest: req.GetOrder() == observev1.TraceOrder_TRACE_ORDER_SLOWEST,
		Limit:   within(int(req.GetPageSize()), tracesOnPage, 500), Patience: s.signals.patience, //nolint:mnd // as the contract says
	}
	for key, value := range map[string]string{archive.OrderAttribute: req.GetOrderId(), archive.GIDAttribute: req.GetGid()} {
		if value != "" {
			if q.Attributes == nil {
				q.Attributes = map[string]string{}
			}
			q.Attributes[key] = value
		}
	}
	if err := page(req.GetPageToken(), &q.To); err != nil {
		return nil, err
	}
	found, err := s.signals.archive.SearchTraces(q)
	if err != nil {
		return nil, unreadable(err)
	}
	resp := &observev1.SearchTracesResponse{Partial: found.Partial, NextPageToken: token(found.Next)}
	for i := range found.Items {
		resp.Traces = append(resp.Traces, summaryToProto(&found.Items[i]))
	}
	return resp, nil
}

func (s *traceService) Get(_ context.Context, req *observev1.GetTraceRequest) (*observev1.GetTraceResponse, error) {
	id, err := traceID(req.GetTraceId())
	if err != nil {
		return nil, err
	}
	skip := int64(0)
	if err := page(req.GetPageToken(), &skip); err != nil {
		return nil, err
	}
	summary, chunks, err := s.signals.archive.Trace(id)
	switch {
	case err != nil:
		return nil, unreadable(err)
	case summary == nil:
		return nil, rpc.Errorf(observev1.TraceReason_TRACE_NOT_FOUND, "no trace %s is kept: it was not sampled, or it was dropped since", req.GetTraceId())
	}
	resp := &observev1.GetTraceResponse{Summary: summaryToProto(summary)}
	all := newTree(id, chunks, summary.Skewed)
	spans := all.waterfall()
	if start, end := all.extent(); all.moved {
		resp.Summary.Start, resp.Summary.Duration = timestamppb.New(time.Unix(0, start)), durationpb.New(time.Duration(end-start))
	}
	if skip == 0 {
		resp.Resources = all.resources
	}
	return cut(resp, spans, int(skip), within(int(req.GetPageSize()), spansOnPage, 10_000)), nil //nolint:mnd // as the contract says
}

func traceID(text string) (id segment.ID, err error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(id) {
		return id, rpc.Errorf(observev1.TraceReason_BAD_SEARCH, "the id of a trace has %d hexadecimal digits", 2*len(id))
	}
	return segment.ID(raw), nil
}

// unreadable is the error of a store that does not answer.
func unreadable(err error) error {
	return status.Errorf(codes.Internal, "read traces and logs: %v", err)
}

// cut keeps the spans of one page.
func cut(resp *observev1.GetTraceResponse, spans []*observev1.Span, skip, limit int) *observev1.GetTraceResponse {
	skip = min(max(skip, 0), len(spans))
	bytes := 0
	for i, span := range spans[skip:] {
		if bytes += proto.Size(span); i >= limit || i > 0 && bytes > pageBytes {
			resp.NextPageToken = token(int64(skip + i))
			break
		}
		resp.Spans = append(resp.Spans, span)
	}
	return resp
}

func (s *traceService) Names(context.Context, *observev1.NamesRequest) (*observev1.NamesResponse, error) {
	operations, err := s.signals.archive.Operations()
	if err != nil {
		return nil, unreadable(err)
	}
	resp := &observev1.NamesResponse{Attributes: archive.Indexed()}
	for _, o := range operations {
		n := len(resp.GetServices())
		if n == 0 || resp.GetServices()[n-1].GetService() != o.Service {
			resp.Services = append(resp.Services, &observev1.ServiceNames{Service: o.Service})
			n++
		}
		resp.GetServices()[n-1].Operations = append(resp.GetServices()[n-1].Operations, o.Name)
	}
	return resp, nil
}

func (s *traceService) Stats(context.Context, *observev1.StatsRequest) (*observev1.StatsResponse, error) {
	st := s.signals.archive.Stats()
	resp := &observev1.StatsResponse{
		Traces: st.Traces, Spans: st.Spans, Lines: st.Lines, Bytes: st.Bytes, BudgetBytes: st.Limits.Bytes,
		Retention: durationpb.New(st.Limits.Retention), Oldest: timestamp(st.Oldest), ThinnedBefore: timestamp(st.ThinnedBefore),
		Segments: int32(st.Segments), Redacted: st.Redacted, QueuedBytes: st.Queued, Problem: st.Problem, Broken: st.Broken,
		GrpcAddress: s.signals.receiver.GRPC(), HttpAddress: s.signals.receiver.HTTP(),
	}
	for _, reason := range slices.Sorted(maps.Keys(st.Dropped)) {
		d := st.Dropped[reason]
		resp.Dropped = append(resp.Dropped, &observev1.Dropped{Reason: reason, Spans: d.Spans, Lines: d.Lines})
	}
	return resp, nil
}

func summaryToProto(s *segment.Summary) *observev1.TraceSummary {
	return &observev1.TraceSummary{
		TraceId: hex.EncodeToString(s.Trace[:]), Service: s.Service, Name: s.Name, Services: s.Services,
		Spans: int32(min(s.Spans, 1<<30)), Errors: int32(min(s.Errors, 1<<30)), //nolint:mnd // within its type
		Start: timestamppb.New(time.Unix(0, s.Start)), Duration: durationpb.New(time.Duration(s.Duration)),
		OrderId: s.OrderID, Gid: s.GID, Rootless: !s.Rooted, Truncated: s.Truncated, Skewed: s.Skewed,
	}
}

// nanos is a time as the store knows it; 0 where none is given.
func nanos(t *timestamppb.Timestamp) int64 {
	if t == nil {
		return 0
	}
	return max(t.AsTime().UnixNano(), 1)
}

func timestamp(ns int64) *timestamppb.Timestamp {
	if ns == 0 {
		return nil
	}
	return timestamppb.New(time.Unix(0, ns))
}

func within(n, def, most int) int { return min(cmp.Or(max(n, 0), def), most) }

// token is where a search goes on.
func token(next int64) string {
	if next == 0 {
		return ""
	}
	return strconv.FormatInt(next, 36) //nolint:mnd // short
}

func page(token string, to *int64) error {
	if token == "" {
		return nil
	}
	n, err := strconv.ParseInt(token, 36, 64) //nolint:mnd // as above
	if err != nil || n <= 0 {
		return rpc.Errorf(observev1.TraceReason_BAD_SEARCH_TOKEN, "the page token is not of this search")
	}
	*to = n
	return nil
}
