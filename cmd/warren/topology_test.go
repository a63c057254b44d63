package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

// answers is a connection to an API that is made up.
type answers struct {
	grpc.ClientConnInterface
	query     func(text string) []*observev1.Sample
	contracts *contractsv1.ListResponse
}

func (a answers) Invoke(_ context.Context, method string, in, out any, _ ...grpc.CallOption) error {
	answer := proto.Message(a.contracts)
	if req, ok := in.(*observev1.QueryRequest); ok {
		answer = &observev1.QueryResponse{Samples: a.query(req.GetQuery())}
	} else if method != contractsv1.ContractService_List_FullMethodName {
		panic("nobody asks for " + method)
	}
	proto.Merge(out.(proto.Message), answer)
	return nil
}

func sample(v float64, labels ...string) *observev1.Sample {
	s := &observev1.Sample{Value: v, Labels: map[string]string{}}
	for i := 0; i < len(labels); i += 2 {
		s.Labels[labels[i]] = labels[i+1]
	}
	return s
}

// TestBreakersOfEdges finds who serves a method whose breaker is open: callers
// know the method only.
func TestBreakersOfEdges(t *testing.T) {
	api := answers{
		contracts: &contractsv1.ListResponse{Contracts: []*contractsv1.Contract{
			{Name: "shop.payment.v1.PaymentService", Services: []string{"payment"}}, {Name: "shop.order.v1.OrderService", Services: []string{"order"}},
		}},
		query: func(text string) []*observev1.Sample {
			if !strings.Contains(text, "warren_rpc_breaker_state") {
				t.Errorf("asked: %s", text)
			}
			return []*observev1.Sample{
				sample(2, "service", "order", "rpc_method", "shop.payment.v1.PaymentService/Hold", "state", "open"),
				sample(1, "service", "order", "rpc_method", "/shop.payment.v1.PaymentService/Capture", "state", "half_open"),
				sample(1, "service", "cart", "rpc_method", "a.Gone/Do", "state", "open"),
			}
		},
	}
	found, err := breakers(t.Context(), api)
	if err != nil || len(found) != 2 || found[0] != (breaker{"order", "payment", "Hold", "open", 2}) || found[1].Method != "Capture" {
		t.Fatalf("%+v, %v", found, err)
	}
	for _, c := range []struct {
		from, to string
		want     int
	}{{"service:order", "service:payment", 2}, {"service:payment", "service:order", 0}, {"service:order", "database:payment", 0}} {
		if got := between(found, &observev1.TopologyEdge{From: c.from, To: c.to}); len(got) != c.want {
			t.Errorf("%s to %s: %+v", c.from, c.to, got)
		}
	}
}

// TestEventFlows puts together what the services count of events.
func TestEventFlows(t *testing.T) {
	group := func(v float64, topic, service string) *observev1.Sample {
		return sample(v, "messaging_destination_name", topic, "service", service, "messaging_consumer_group_name", service)
	}
	api := answers{query: func(text string) []*observev1.Sample {
		switch {
		case strings.Contains(text, "sent_messages"):
			return []*observev1.Sample{sample(3, "messaging_destination_name", "OrderPlaced"), sample(0, "messaging_destination_name", "Unread")}
		case strings.Contains(text, "warren_events_lag"):
			return []*observev1.Sample{group(120, "OrderPlaced", "payment"), group(0, "OrderPlaced", "notification")}
		case strings.HasPrefix(text, "("):
			return []*observev1.Sample{group(0.25, "OrderPlaced", "payment")}
		case strings.Contains(text, "warren_dead_letters"):
			return []*observev1.Sample{group(4, "OrderPlaced", "notification")}
		case strings.Contains(text, "warren_outbox_pending"):
			return []*observev1.Sample{sample(7, "service", "order")}
		case strings.Contains(text, "warren_outbox_age"):
			return []*observev1.Sample{sample(1.5, "service", "order"), sample(-1, "service", "cart")}
		}
		return nil
	}}
	c := observev1.NewMetricServiceClient(api)
	flows, err := eventFlows(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	outboxes, err := eventOutboxes(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := printEvents(&out, flows, outboxes); err != nil {
		t.Fatal(err)
	}
	want := `EVENT PUBLISHED SERVICE GROUP HANDLED FAILED BEHIND RETRIES DEAD
OrderPlaced 3.0/s notification notification 0.0/s - 0 0 4
OrderPlaced 3.0/s payment payment 0.0/s 25 % 120 0 0
Unread 0.0/s - - - - - - -

OUTBOX OF WAITING OLDEST
cart 0 0s
order 7 1.5s
`
	var got strings.Builder
	for line := range strings.Lines(out.String()) {
		got.WriteString(strings.Join(strings.Fields(line), " ") + "\n")
	}
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}
