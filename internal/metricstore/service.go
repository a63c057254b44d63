package metricstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

// Service answers the contract of metrics from the store.
func (s *Store) Service() observev1.MetricServiceServer { //nolint:ireturn // what is registered is an interface
	return &service{store: s}
}

type service struct {
	observev1.UnimplementedMetricServiceServer
	store *Store
}

func (v *service) Query(ctx context.Context, req *observev1.QueryRequest) (*observev1.QueryResponse, error) {
	at := timeOr(req.GetTime(), time.Now())
	r, err := v.store.Query(ctx, req.GetQuery(), at, int(req.GetLimit()))
	if err != nil {
		return nil, statusOf(err)
	}
	kinds := map[Kind]observev1.QueryResponse_Kind{
		Vector: observev1.QueryResponse_KIND_VECTOR, Scalar: observev1.QueryResponse_KIND_SCALAR,
		Matrix: observev1.QueryResponse_KIND_MATRIX, Text: observev1.QueryResponse_KIND_STRING,
	}
	out := &observev1.QueryResponse{Kind: kinds[r.Kind], Scalar: r.Value, Text: r.Text, Warnings: r.Warnings, Time: timestamppb.New(at)}
	if r.Kind == Matrix {
		out.Series, out.Warnings = v.seriesToProto(r)
		return out, nil
	}
	out.Samples, out.Warnings = sendable(v.store, r, func(one Series) *observev1.Sample {
		return &observev1.Sample{Labels: one.Labels, Value: one.Points[0].Value}
	})
	return out, nil
}

func (v *service) QueryRange(ctx context.Context, req *observev1.QueryRangeRequest) (*observev1.QueryRangeResponse, error) {
	if req.GetStart() == nil {
		return nil, status.Error(codes.InvalidArgument, "query a range: it has no start")
	}
	start, end := req.GetStart().AsTime(), timeOr(req.GetEnd(), time.Now())
	step := req.GetStep().AsDuration()
	if step == 0 {
		step = v.store.Step(start, end)
	}
	r, err := v.store.QueryRange(ctx, req.GetQuery(), start, end, step, int(req.GetLimit()))
	if err != nil {
		return nil, statusOf(err)
	}
	series, warnings := v.seriesToProto(r)
	return &observev1.QueryRangeResponse{
		Series: series, Warnings: warnings,
		Start: timestamppb.New(start), End: timestamppb.New(end), Step: durationpb.New(step),
	}, nil
}

func (v *service) LabelNames(ctx context.Context, req *observev1.LabelNamesRequest) (*observev1.LabelNamesResponse, error) {
	names, cut, err := v.store.LabelNames(ctx, where(req))
	return &observev1.LabelNamesResponse{Names: names, Cut: cut}, statusOf(err)
}

func (v *service) LabelValues(ctx context.Context, req *observev1.LabelValuesRequest) (*observev1.LabelValuesResponse, error) {
	values, cut, err := v.store.LabelValues(ctx, req.GetLabel(), req.GetContains(), where(req))
	return &observev1.LabelValuesResponse{Values: values, Cut: cut}, statusOf(err)
}

func (v *service) Series(ctx context.Context, req *observev1.SeriesRequest) (*observev1.SeriesResponse, error) {
	if len(req.GetSelectors()) == 0 {
		return nil, status.Error(codes.InvalidArgument, `list series: there is no selector; one is up{service="order"}`)
	}
	found, cut, err := v.store.Series(ctx, where(req))
	r := Result{}
	for _, labels := range found {
		r.Series = append(r.Series, Series{Labels: labels})
	}
	series, warnings := v.seriesToProto(r)
	return &observev1.SeriesResponse{Series: series, Cut: cut || len(warnings) > 0}, statusOf(err)
}

func (v *service) Metadata(_ context.Context, req *observev1.MetadataRequest) (*observev1.MetadataResponse, error) {
	out := &observev1.MetadataResponse{}
	for _, m := range v.store.Metadata(req.GetMetric()) {
		out.Metrics = append(out.Metrics, &observev1.Metric{Name: m.Name, Type: m.Type, Unit: m.Unit, Help: m.Help})
	}
	return out, nil
}

func (v *service) Targets(_ context.Context, req *observev1.TargetsRequest) (*observev1.TargetsResponse, error) {
	out := &observev1.TargetsResponse{}
	for _, t := range v.store.Targets() {
		if services := req.GetServices(); len(services) > 0 && !slices.Contains(services, t.Service) {
			continue
		}
		health := observev1.Target_HEALTH_UNKNOWN
		if t.Known {
			health = observev1.Target_HEALTH_DOWN
		}
		if t.Up {
			health = observev1.Target_HEALTH_UP
		}
		one := &observev1.Target{
			Service: t.Service, Instance: t.Instance, Version: t.Version, Url: t.URL, Health: health, Error: t.Err,
			Took: durationpb.New(t.Took), Interval: durationpb.New(t.Interval),
		}
		if t.Known {
			one.Scraped = timestamppb.New(t.Scraped)
		}
		out.Targets = append(out.Targets, one)
	}
	return out, nil
}

func (v *service) seriesToProto(r Result) ([]*observev1.Series, []string) {
	return sendable(v.store, r, func(s Series) *observev1.Series {
		out := &observev1.Series{Labels: s.Labels, Points: make([]*observev1.Point, len(s.Points))}
		for i, p := range s.Points {
			out.Points[i] = &observev1.Point{Time: timestamppb.New(p.Time), Value: p.Value}
		}
		return out
	})
}

// answerBytes is how many bytes an answer has at most: below what gRPC takes by
// default.
const answerBytes = 3 << 20

// sendable are the series of a result as messages, as many as one answer takes.
func sendable[T proto.Message](s *Store, r Result, message func(Series) T) (out []T, warnings []string) {
	room := answerBytes
	for n, one := range r.Series {
		m := message(one)
		if room -= proto.Size(m); room < 0 && n > 0 {
			s.metrics.cut.Inc()
			return out, append(r.Warnings, fmt.Sprintf("only the first %d of %d series are shown: more cannot be sent at once", n, len(r.Series)))
		}
		out = append(out, m)
	}
	return out, r.Warnings
}

// where is what the requests for names have in common; without a time it is
// the last hour.
func where(req interface {
	GetSelectors() []string
	GetStart() *timestamppb.Timestamp
	GetEnd() *timestamppb.Timestamp
	GetLimit() int32
}) Where {
	end := timeOr(req.GetEnd(), time.Now())
	return Where{Selectors: req.GetSelectors(), Start: timeOr(req.GetStart(), end.Add(-time.Hour)), End: end, Limit: int(req.GetLimit())}
}

func timeOr(t *timestamppb.Timestamp, otherwise time.Time) time.Time {
	if t == nil {
		return otherwise
	}
	return t.AsTime()
}

func statusOf(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrInvalid):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, ErrTooMuch), errors.Is(err, ErrBusy):
		return status.Error(codes.ResourceExhausted, err.Error())
	case errors.Is(err, ErrClosed):
		return status.Error(codes.Unavailable, err.Error())
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, err.Error())
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, err.Error())
	}
	return status.Error(codes.Internal, err.Error())
}
