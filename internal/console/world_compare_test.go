package console_test

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

const calmTrace = "4bf92f3577b34da6a3ce929d0e0e4999"

const longTrace = "4bf92f3577b34da6a3ce929d0e0e5000"

// long is a trace of which one answer has not all.
func long() *observev1.GetTraceResponse {
	out := calm()
	out.Summary.TraceId, out.Summary.Spans, out.NextPageToken = longTrace, 5000, "more"
	return out
}

// calm is the trace of a checkout at which the bank answered at once.
func calm() *observev1.GetTraceResponse {
	out, err := tracesWorld{}.Get(context.Background(), &observev1.GetTraceRequest{TraceId: someTrace})
	if err != nil {
		return nil
	}
	const earlier = 10 * time.Minute
	out.Summary.TraceId, out.Summary.Errors, out.Summary.Duration = calmTrace, 0, durationpb.New(171*time.Millisecond)
	out.Summary.Start = timestamppb.New(out.GetSummary().GetStart().AsTime().Add(-earlier))
	captures := 0
	out.Spans = slices.DeleteFunc(out.GetSpans(), func(s *observev1.Span) bool {
		if s.GetName() == "shop.payment.v1.PaymentService/Capture" {
			captures++
		}
		return captures > 1 && s.GetName() == "shop.payment.v1.PaymentService/Capture"
	})
	for _, s := range out.GetSpans() {
		s.Start, s.Status, s.StatusMessage = timestamppb.New(s.GetStart().AsTime().Add(-earlier)), 0, ""
		s.Duration = durationpb.New(min(s.GetDuration().AsDuration(), 171*time.Millisecond))
		s.Self = durationpb.New(s.GetSelf().AsDuration() / 2)
	}
	out.Spans = append(out.Spans, &observev1.Span{
		SpanId: "00000000000000ff", Service: "notification", Name: "process OrderConfirmed", Depth: 3, Start: out.GetSummary().GetStart(), Duration: durationpb.New(7 * time.Millisecond),
	})
	return out
}
