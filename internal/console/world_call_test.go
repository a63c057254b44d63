package console_test

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

// Call answers as payment does: by the wallet, or by what is wrong.
func (c contractsWorld) Call(_ context.Context, req *contractsv1.CallRequest) (*contractsv1.CallResponse, error) {
	if strings.Contains(req.GetJson(), "oops") {
		return nil, status.Error(codes.InvalidArgument, `read it as shop.payment.v1.HoldRequest: unknown field "oops"`)
	}
	c.world.did("call " + req.GetMethod() + " key=" + req.GetIdempotencyKey() + " token=" + req.GetToken() + " " + strings.Join(strings.Fields(req.GetJson()), ""))
	out := &contractsv1.CallResponse{
		Safe: strings.HasSuffix(req.GetMethod(), "/GetWallet"),
		Code: "OK", HttpStatus: 200, Took: durationpb.New(12 * time.Millisecond), TraceId: someTrace, Instance: "payment/1", Hidden: []string{"session.token"},
		Answers: []string{`{"wallet":"w-1","balance":{"currency":"EUR","amount":"12345"}}`},
		Headers: []*contractsv1.Header{{Name: "content-type", Value: "application/grpc"}, {Name: "x-shelf", Value: "7"}},
	}
	if strings.HasSuffix(req.GetMethod(), "/Hold") && !strings.Contains(req.GetJson(), "1042") {
		return &contractsv1.CallResponse{
			Code: "INVALID_ARGUMENT", HttpStatus: 400, Message: "the request breaks the contract: card 4111111111111111", Reason: "INVALID_REQUEST", Domain: "rpc.warren",
			Violations: []*contractsv1.Violation{{Field: "orderId", Description: "must not be empty"}}, Took: durationpb.New(2 * time.Millisecond), TraceId: someTrace,
		}, nil
	}
	return out, nil
}

func (metricsWorld) LabelNames(_ context.Context, req *observev1.LabelNamesRequest) (*observev1.LabelNamesResponse, error) {
	names := []string{"__name__", "environment", "instance", "service", "version"}
	for _, s := range req.GetSelectors() {
		if strings.Contains(s, "rpc_server") {
			names = append(names, "rpc_method", "rpc_response_status_code")
		}
	}
	return &observev1.LabelNamesResponse{Names: names}, nil
}

func (metricsWorld) LabelValues(_ context.Context, req *observev1.LabelValuesRequest) (*observev1.LabelValuesResponse, error) {
	all := namesOf(req.GetLabel())
	if req.GetLabel() == "__name__" {
		all = []string{"go_goroutines", "rpc_server_call_duration_seconds_bucket", "rpc_server_call_duration_seconds_count", "warren_outbox_pending"}
	}
	out := &observev1.LabelValuesResponse{}
	for _, name := range all {
		if strings.Contains(name, req.GetContains()) {
			out.Values = append(out.Values, name)
		}
	}
	return out, nil
}

// handled are the spans of a call of Hold: it asks the database, the ledger and
// the bank, and says what it has done.
func handled(begin time.Time) []*observev1.Span {
	var out []*observev1.Span
	for i, one := range []struct {
		name string
		kind observev1.SpanKind
		db   string
	}{
		{"shop.payment.v1.PaymentService/Hold", observev1.SpanKind_SPAN_KIND_SERVER, ""}, {"SELECT holds", observev1.SpanKind_SPAN_KIND_CLIENT, "sqlite"},
		{"INSERT holds", observev1.SpanKind_SPAN_KIND_CLIENT, "sqlite"}, {"shop.ledger.v1.LedgerService/Book", observev1.SpanKind_SPAN_KIND_CLIENT, ""},
		{"publish shop.payment.v1.Held", observev1.SpanKind_SPAN_KIND_PRODUCER, ""},
	} {
		span := &observev1.Span{
			SpanId: "00000000000000a" + string(rune('0'+i)), ParentId: "00000000000000a0", Service: "payment", Name: one.name, Kind: one.kind, Depth: 4,
			Start: timestamppb.New(begin.Add(time.Duration(40+i) * time.Millisecond)), Duration: durationpb.New(time.Duration(i+1) * time.Millisecond), Self: durationpb.New(time.Millisecond),
		}
		if i == 0 {
			span.ParentId = "0000000000000008"
		}
		if one.db != "" {
			span.Attributes = []*observev1.Attribute{{Key: "db.system.name", Value: &observev1.Attribute_Text{Text: one.db}}}
		}
		out = append(out, span)
	}
	return out
}
