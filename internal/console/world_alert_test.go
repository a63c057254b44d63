package console_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

// madeUpBreakers are those that are not closed: two callers have lost faith in
// somebody, and one tries again.
func madeUpBreakers(query string) (out []*observev1.Sample, ok bool) {
	if !strings.Contains(query, "by (service, rpc_method, state)") {
		return nil, false
	}
	for _, one := range []struct {
		service, method, state string
		n                      float64
	}{
		{"coordinator", "shop.payment.v1.PaymentService/Capture", "open", 2}, {"coordinator", "shop.payment.v1.PaymentService/Hold", "half-open", 1},
		{"order", "/shop.catalog.v1.CatalogService/GetProducts", "half-open", 1}, {"gateway", "shop.nobody.v1.Nobody/Call", "open", 1},
		{"gateway", "shop.order.v1.OrderService/GetOrder", "open", 0},
	} {
		labels := map[string]string{"service": one.service, "rpc_method": one.method, "state": one.state}
		out = append(out, &observev1.Sample{Labels: labels, Value: one.n})
	}
	return out, true
}

// released are the versions of a service that answer: one of them has a new one.
func released(id string) []*observev1.VersionShare {
	if id != "service:catalog" {
		return []*observev1.VersionShare{{Version: "v1.4.2", Calls: 4000}}
	}
	return []*observev1.VersionShare{{Version: "v1.4.2", Calls: 3600}, {Version: "v1.5.0", Calls: 400, Errors: 12}}
}

func burnRule() *observev1.Rule {
	return &observev1.Rule{
		Group: "slo", Name: "ErrorBudgetBurnsFast", Expression: "slo:burn:1h > 14.4", State: observev1.Alert_STATE_FIRING, Severity: "page", Source: "alerts.yaml",
		Labels: map[string]string{"slo": "checkout"}, Evaluated: timestamppb.Now(), Took: durationpb.New(3 * time.Millisecond),
		Annotations: map[string]string{"runbook_url": "docs/alerts.md#errorbudgetburnsfast", "description": "{{ $value }} of the events were bad"},
	}
}

func burns() []*observev1.Burn {
	fast, slow := 17.3, 2.1
	return []*observev1.Burn{
		{Window: durationpb.New(time.Hour), Rate: &fast, Threshold: 14.4, Severity: "page"},
		{Window: durationpb.New(6 * time.Hour), Rate: &slow, Threshold: 6, Severity: "page"},
		{Window: durationpb.New(24 * time.Hour), Threshold: 3, Severity: "ticket"},
	}
}

func (*alertsWorld) Deliveries(context.Context, *observev1.DeliveriesRequest) (*observev1.DeliveriesResponse, error) {
	return &observev1.DeliveriesResponse{Deliveries: []*observev1.Delivery{
		{Time: ago(time.Minute), Receiver: "chat", Kind: "webhook", Alerts: []string{"ErrorBudgetBurnsFast"}, Error: "503 Service Unavailable", Retried: true},
		{Time: ago(2 * time.Minute), Receiver: "mail", Kind: "email", Alerts: []string{"SagaParked"}, Resolved: true},
	}}, nil
}

// linesOfSpans are the lines of the trace: of one of its spans, and of one that is not kept.
func linesOfSpans() (out []*observev1.LogLine) {
	for i, span := range []string{"000000000000000b", "ffffffffffffffff"} {
		out = append(out, &observev1.LogLine{
			Id: fmt.Sprintf("t%d", i), Time: ago(2 * time.Minute), Level: observev1.LogLevel_LOG_LEVEL_ERROR, Service: "payment", Instance: "payment/1",
			TraceId: someTrace, SpanId: span, Message: "charge refused, line " + span,
			Attributes: []*observev1.Attribute{
				{Key: "order_id", Value: &observev1.Attribute_Text{Text: "1042"}}, {Key: "gid", Value: &observev1.Attribute_Text{Text: someGid}},
			},
		})
	}
	return out
}

func (tracesWorld) Stats(context.Context, *observev1.StatsRequest) (*observev1.StatsResponse, error) {
	return &observev1.StatsResponse{
		Traces: 4182, Spans: 91200, Lines: 120000, Bytes: 740 << 20, BudgetBytes: 1 << 30, Retention: durationpb.New(7 * 24 * time.Hour), Oldest: ago(30 * time.Hour),
		ThinnedBefore: ago(20 * time.Hour), Dropped: []*observev1.Dropped{{Reason: "queue", Spans: 12, Lines: 3}}, Redacted: 5,
	}, nil
}
