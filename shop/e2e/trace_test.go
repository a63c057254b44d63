package e2e

import (
	"slices"
	"strings"
	"time"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

// aTraceIsFoundByItsOrder: who knows the number of an order, and nothing else,
// finds the one trace of its checkout; it goes from the browser's request over the
// steps of the saga, and the carrier's that come much later, to the order's last
// event.
func (s *shop) aTraceIsFoundByItsOrder() {
	buyer := s.customers(1, func(int) int64 { return 100_000 })[0]
	ctx := s.within(2 * time.Minute)
	o, err := buyer.place(ctx, "found", orderBody(map[string]int{"22423": 1}))
	if err == nil {
		o, err = buyer.ended(ctx, o.GetOrderId())
	}
	if err != nil {
		s.t.Fatal(err)
	}
	all := s.traceOf(o.GetOrderId(),
		"gateway POST /v1/orders", "order shop.order.v1.OrderService/PlaceOrder",
		"coordinator checkout reserve", "inventory shop.inventory.v1.InventoryService/Reserve",
		"coordinator checkout hold", "payment shop.payment.v1.PaymentService/Hold",
		"coordinator checkout dispatch", "shipping shop.shipping.v1.ShippingService/DispatchShipment",
		"order send shop.order.v1.OrderConfirmed", "notification process shop.order.v1.OrderConfirmed",
		"shipping carry shipment",
		"shipping send shop.shipping.v1.ShipmentShipped", "notification process shop.shipping.v1.ShipmentShipped",
		"order process shop.shipping.v1.ShipmentShipped", "order send shop.order.v1.OrderShipped",
		"shipping send shop.shipping.v1.ShipmentDelivered", "notification process shop.shipping.v1.ShipmentDelivered",
		"order process shop.shipping.v1.ShipmentDelivered", "order send shop.order.v1.OrderDelivered", "order relay shop.order.v1.OrderDelivered")
	ids := map[string]*observev1.Span{}
	for _, one := range all {
		ids[one.GetSpanId()] = one
	}
	for _, one := range all {
		if one.GetKind() != observev1.SpanKind_SPAN_KIND_CONSUMER {
			continue
		}
		linked := slices.ContainsFunc(one.GetLinks(), func(l *observev1.SpanLink) bool {
			from := ids[l.GetSpanId()]
			return from != nil && from.GetKind() == observev1.SpanKind_SPAN_KIND_PRODUCER
		})
		if !linked {
			s.t.Errorf("%s %s is not linked to the span that published", one.GetService(), one.GetName())
		}
	}
	if root := all[0]; root.GetService() != "gateway" || root.GetParentId() != "" {
		s.t.Errorf("the trace begins at %s %s", root.GetService(), root.GetName())
	}
}

// aProbeIsMarkedToItsEnd: what a probe's checkout had done and undone says so,
// as the baggage of its request did.
func (s *shop) aProbeIsMarkedToItsEnd() {
	poor := s.customers(2, func(i int) int64 { return int64(i) })[1]
	poor.baggage = "synthetic=true"
	ctx := s.within(2 * time.Minute)
	o, err := poor.place(ctx, "probe", orderBody(map[string]int{"22423": 1}))
	if err == nil {
		o, err = poor.ended(ctx, o.GetOrderId())
	}
	if err != nil {
		s.t.Fatal(err)
	}
	if got := states(o); got != "PLACED REJECTED" {
		s.t.Fatalf("the order's way: %s", got)
	}
	all := s.traceOf(o.GetOrderId(),
		"coordinator checkout hold", "inventory shop.inventory.v1.InventoryService/Release", "order shop.order.v1.OrderProcessService/RejectOrder",
		"notification process shop.order.v1.OrderRejected")
	for _, one := range all {
		marked := slices.ContainsFunc(one.GetAttributes(), func(a *observev1.Attribute) bool {
			return a.GetKey() == "baggage.synthetic" && a.GetText() == "true"
		})
		if !marked {
			s.t.Errorf("%s %s does not say that it is synthetic", one.GetService(), one.GetName())
		}
	}
}

// traceOf waits for the one trace of the checkout of an order, and until it has
// these spans; it returns all of it.
func (s *shop) traceOf(order string, wanted ...string) []*observev1.Span {
	s.t.Helper()
	const patience = 30 * time.Second
	found := &observev1.SearchTracesResponse{}
	until(s.t, patience, "the trace of an order", func() bool {
		found.Reset()
		s.asked(found, "traces", "--service", "gateway", "--operation", "POST /v1/orders", "--attribute", "shop.order.id="+order)
		return len(found.GetTraces()) > 0
	})
	if len(found.GetTraces()) != 1 {
		s.t.Fatalf("%d traces are of the checkout of order %s", len(found.GetTraces()), order)
	}
	whole := &observev1.GetTraceResponse{}
	missing := slices.Clone(wanted)
	s.t.Cleanup(func() {
		if !s.t.Failed() {
			return
		}
		for _, one := range whole.GetSpans() {
			s.t.Logf("%s%s %s", strings.Repeat("  ", int(one.GetDepth())), one.GetService(), one.GetName())
		}
	})
	until(s.t, patience, "all of the trace", func() bool {
		whole.Reset()
		s.asked(whole, "traces", "show", found.GetTraces()[0].GetTraceId())
		missing = slices.DeleteFunc(slices.Clone(wanted), func(w string) bool {
			return slices.ContainsFunc(whole.GetSpans(), func(one *observev1.Span) bool { return one.GetService()+" "+one.GetName() == w })
		})
		return len(missing) == 0
	})
	return whole.GetSpans()
}
