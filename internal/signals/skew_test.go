package signals_test

import (
	"context"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

// A trace of machines whose clocks are a year and an hour off looks as it was: its
// length is what it took, causes come before effects, and it is told what was moved.
func TestWaterfallOfWrongClocks(t *testing.T) {
	w := open(t, t.TempDir())
	now := time.Now()
	begin := func(ctx context.Context, tracer trace.Tracer, name string, kind trace.SpanKind, at time.Time) (context.Context, trace.Span) {
		return tracer.Start(ctx, name, trace.WithSpanKind(kind), trace.WithTimestamp(at), trace.WithAttributes(attribute.String("warren.instance", "x"))) //nolint:spancheck // who calls this ends it
	}
	at := func(base time.Time, ms int) time.Time { return base.Add(time.Duration(ms) * time.Millisecond) }
	gateway, flushGateway := w.tracer(t, "gateway", "v1")
	order, flushOrder := w.tracer(t, "order", "v1")
	shipping, flushShipping := w.tracer(t, "shipping", "v1")
	billing, flushBilling := w.tracer(t, "billing", "v1")
	future, past := now.AddDate(1, 0, 0), now.Add(-time.Hour)

	ctx, root := begin(t.Context(), gateway, "root", trace.SpanKindServer, now)
	ctx, client := begin(ctx, gateway, "call", trace.SpanKindClient, at(now, 10))
	ctx, server := begin(ctx, order, "serve", trace.SpanKindServer, future)
	publishing, publish := begin(ctx, order, "publish", trace.SpanKindProducer, at(future, 10))
	publish.End(trace.WithTimestamp(at(future, 11)))
	_, ship := begin(publishing, shipping, "ship", trace.SpanKindConsumer, at(future.AddDate(1, 0, 0), 20))
	ship.End(trace.WithTimestamp(at(future.AddDate(1, 0, 0), 30)))
	_, bill := begin(publishing, billing, "bill", trace.SpanKindConsumer, past)
	bill.End(trace.WithTimestamp(at(past, 5)))
	server.End(trace.WithTimestamp(at(future, 40)))
	client.End(trace.WithTimestamp(at(now, 60)))
	root.End(trace.WithTimestamp(at(now, 70)))
	flushOrder()
	flushBilling()
	flushShipping()
	flushGateway()

	id := root.SpanContext().TraceID().String()
	eventually(t, "the trace", func() bool {
		found, err := w.traces.Search(t.Context(), &observev1.SearchTracesRequest{Order: observev1.TraceOrder_TRACE_ORDER_SLOWEST})
		if err != nil {
			t.Fatal(err)
		}
		return len(found.GetTraces()) == 1 && found.GetTraces()[0].GetSpans() == 6
	})
	found, err := w.traces.Search(t.Context(), &observev1.SearchTracesRequest{Order: observev1.TraceOrder_TRACE_ORDER_SLOWEST})
	if err != nil {
		t.Fatal(err)
	}
	if s := found.GetTraces()[0]; !s.GetSkewed() || s.GetDuration().AsDuration() > 2*time.Hour || s.GetName() != "root" {
		t.Errorf("the summary is of wrong clocks: %v", s)
	}
	resp, err := w.traces.Get(t.Context(), &observev1.GetTraceRequest{TraceId: id})
	if err != nil {
		t.Fatal(err)
	}
	start, took := resp.GetSummary().GetStart().AsTime(), resp.GetSummary().GetDuration().AsDuration()
	if !start.Equal(now) || took != 70*time.Millisecond {
		t.Errorf("shown from %v for %v, want from %v for 70ms", start, took, now)
	}
	byName := map[string]*observev1.Span{}
	for _, s := range resp.GetSpans() {
		byName[s.GetName()] = s
		from := s.GetStart().AsTime()
		if from.Before(start) || from.Add(s.GetDuration().AsDuration()).After(start.Add(took)) {
			t.Errorf("%s is outside of the trace: from %v", s.GetName(), from)
		}
	}
	for name, moved := range map[string]bool{"root": false, "call": false, "serve": true, "publish": true, "ship": true, "bill": true} {
		if s := byName[name]; s == nil || (s.GetAdjusted() != nil) != moved {
			t.Errorf("%s: moved by %v", name, s.GetAdjusted())
		}
	}
	if !byName["ship"].GetStart().AsTime().Equal(byName["publish"].GetStart().AsTime()) {
		t.Errorf("an event is handled at %v, and sent at %v", byName["ship"].GetStart().AsTime(), byName["publish"].GetStart().AsTime())
	}
}
