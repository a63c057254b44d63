package telemetry_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/gowarren/warren/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func always() float64 { return 1 }
func never() float64  { return 0 }

// recording returns a tracer and what it has recorded so far.
func recording(tb testing.TB, sample func() float64) (*telemetry.Tracer, func() tracetest.SpanStubs) {
	tb.Helper()
	exporter := tracetest.NewInMemoryExporter()
	tel, err := telemetry.Open(context.Background(), telemetry.Options{Service: "catalog", Exporter: exporter, Sample: sample, Output: io.Discard})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := tel.Close(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return tel.Tracer(), func() tracetest.SpanStubs {
		if err := tel.Flush(context.Background()); err != nil {
			tb.Fatal(err)
		}
		return exporter.GetSpans()
	}
}

func TestSpan(t *testing.T) {
	tracer, spans := recording(t, always)
	ctx, outer := tracer.Start(t.Context(), "GET", trace.SpanKindServer)
	outer.SetName("GET /v1/products")
	_, inner := tracer.Start(ctx, "query", trace.SpanKindClient)
	inner.SetAttr(attribute.Int("rows", 3), attribute.String("db.password", "hunter2"))
	inner.Event("retry", attribute.String("token", "hunter2"))
	inner.SetError(errors.New("database is away"))
	inner.End()
	outer.SetError(nil)
	outer.End()
	got := spans()
	if len(got) != 2 {
		t.Fatalf("%d spans", len(got))
	}
	query, get := got[0], got[1]
	if query.Parent.SpanID() != get.SpanContext.SpanID() || query.SpanContext.TraceID() != get.SpanContext.TraceID() {
		t.Error("the inner span is not the outer's child")
	}
	if get.Name != "GET /v1/products" || get.SpanKind != trace.SpanKindServer || get.Parent.IsValid() || get.Status.Code != codes.Unset {
		t.Errorf("outer span: %+v", get)
	}
	if query.Status.Code != codes.Error || query.Status.Description != "database is away" {
		t.Errorf("status: %+v", query.Status)
	}
	for _, a := range append(query.Attributes, query.Events[0].Attributes...) {
		if a.Value.AsString() == "hunter2" {
			t.Errorf("%s tells a secret", a.Key)
		}
	}
	if telemetry.TraceID(ctx) != get.SpanContext.TraceID().String() || telemetry.SpanFromContext(ctx) != outer {
		t.Error("the context doesn't hold the span")
	}
	if service, _ := get.Resource.Set().Value("service.name"); service.AsString() != "catalog" {
		t.Errorf("service.name = %q", service.AsString())
	}
}

func TestTraceGoesOnOverTheWire(t *testing.T) {
	client, clientSpans := recording(t, always)
	server, serverSpans := recording(t, never) // what began recorded stays so
	header := make(http.Header)
	ctx := client.Extract(t.Context(), func(key string) string {
		return map[string]string{
			"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate": "rojo=1",
		}[key]
	})
	ctx, span := client.Start(ctx, "call", trace.SpanKindClient)
	client.Inject(ctx, header.Set)
	span.End()
	ctx = server.Extract(t.Context(), header.Get)
	ctx, span = server.Start(ctx, "serve", trace.SpanKindServer)
	span.End()

	called, served := clientSpans(), serverSpans()
	if len(called) != 1 || len(served) != 1 {
		t.Fatalf("%d and %d spans", len(called), len(served))
	}
	if got := telemetry.TraceID(ctx); got != "4bf92f3577b34da6a3ce929d0e0e4736" {
		t.Errorf("trace id %s", got)
	}
	if parent := served[0].Parent; parent.SpanID() != called[0].SpanContext.SpanID() || !parent.IsRemote() {
		t.Errorf("parent %+v", parent)
	}
	if state := served[0].SpanContext.TraceState().String(); state != "rojo=1" || header.Get("tracestate") != state {
		t.Errorf("tracestate %q, sent %q", state, header.Get("tracestate"))
	}
}

func TestUnsampledTraceKeepsItsID(t *testing.T) {
	for name, header := range map[string]string{
		"new":      "",
		"incoming": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
	} {
		t.Run(name, func(t *testing.T) {
			tracer, spans := recording(t, map[bool]func() float64{true: never, false: always}[header == ""])
			ctx := tracer.Extract(t.Context(), func(string) string { return header })
			ctx, span := tracer.Start(ctx, "serve", trace.SpanKindServer)
			ctx, inner := tracer.Start(ctx, "call", trace.SpanKindClient)
			if span.Recording() || inner.Recording() {
				t.Error("a span was built")
			}
			for _, s := range []*telemetry.Span{span, telemetry.SpanFromContext(ctx)} {
				s.SetName("x")
				s.SetAttr(attribute.Int("n", 1))
				s.Event("x")
				s.SetError(nil)
				s.End()
			}
			sent := make(http.Header)
			tracer.Inject(ctx, sent.Set)
			id, parent := telemetry.TraceID(ctx), sent.Get("traceparent")
			if len(id) != 32 || len(parent) != 55 || parent[3:35] != id || parent[54]&1 != 0 {
				t.Errorf("trace %q went on as %q", id, parent)
			}
			if header != "" && parent[:36] != header[:36] {
				t.Errorf("%q went on as %q", header, parent)
			}
			if n := len(spans()); n != 0 {
				t.Errorf("%d spans", n)
			}
		})
	}
}

func TestSampleIsReadLive(t *testing.T) {
	var share atomic.Value
	share.Store(0.0)
	tracer, _ := recording(t, func() float64 { return share.Load().(float64) })
	count := func() (n int) {
		for range 2000 {
			if _, span := tracer.Start(t.Context(), "x", trace.SpanKindInternal); span.Recording() {
				n++
				span.End()
			}
		}
		return n
	}
	if n := count(); n != 0 {
		t.Errorf("%d of 2000 recorded at 0", n)
	}
	share.Store(0.25)
	if n := count(); n < 350 || n > 650 {
		t.Errorf("%d of 2000 recorded at a quarter", n)
	}
	share.Store(1.0)
	if n := count(); n != 2000 {
		t.Errorf("%d of 2000 recorded at 1", n)
	}
}

func TestWithoutExporterTracesAreCarried(t *testing.T) {
	tel, err := telemetry.Open(t.Context(), telemetry.Options{Sample: always, Output: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	tracer := tel.Tracer()
	header := "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	ctx := tracer.Extract(t.Context(), func(key string) string {
		if key == "traceparent" {
			return header
		}
		return ""
	})
	ctx, span := tracer.Start(ctx, "x", trace.SpanKindServer)
	if span != nil {
		t.Error("a span for nobody")
	}
	tracer.Inject(ctx, func(key, value string) {
		if key != "traceparent" || value != header {
			t.Errorf("%s: %s", key, value)
		}
	})
	if err := errors.Join(tel.Flush(t.Context()), tel.Close(t.Context())); err != nil {
		t.Error(err)
	}
}

func TestNilTracer(t *testing.T) {
	var tracer *telemetry.Tracer
	ctx, span := tracer.Start(tracer.Extract(t.Context(), nil), "x", trace.SpanKindServer)
	tracer.Inject(ctx, nil)
	if ctx != t.Context() || span != nil || telemetry.TraceID(ctx) != "" || telemetry.SpanFromContext(ctx) != nil {
		t.Error("a nil tracer traces")
	}
}

func TestExtractHTTP(t *testing.T) {
	tracer, _ := recording(t, never)
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
	for name, test := range map[string]struct {
		header http.Header
		state  string
		ok     bool
	}{
		"nothing":     {http.Header{}, "", false},
		"parent":      {http.Header{"Traceparent": {parent}}, "", true},
		"two parents": {http.Header{"Traceparent": {parent, parent}}, "", false},
		"two states":  {http.Header{"Traceparent": {parent}, "Tracestate": {"a=1", "b=2"}}, "a=1,b=2", true},
		"bad state":   {http.Header{"Traceparent": {parent}, "Tracestate": {"a=1", "a=2"}}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, sent := tracer.ExtractHTTP(t.Context(), test.header), make(http.Header)
			tracer.Inject(ctx, sent.Set)
			if ok := sent.Get("Traceparent") == parent; ok != test.ok || sent.Get("Tracestate") != test.state {
				t.Errorf("went on as %v", sent)
			}
		})
	}
	var none *telemetry.Tracer
	if none.ExtractHTTP(t.Context(), nil) != t.Context() {
		t.Error("a nil tracer reads headers")
	}
	header, ctx := http.Header{"Traceparent": {parent}}, t.Context()
	if n := testing.AllocsPerRun(1000, func() { tracer.ExtractHTTP(ctx, header) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

// The three ways through a process that a request takes which nobody records.
func newTrace(ctx context.Context, tracer *telemetry.Tracer) {
	ctx, span := tracer.Start(ctx, "serve", trace.SpanKindServer)
	_, inner := tracer.Start(ctx, "call", trace.SpanKindClient)
	inner.SetAttr(attribute.Int("rows", 3), attribute.String("method", "GetProduct"))
	inner.End()
	span.End()
}

func incoming(key string) string {
	if key == "traceparent" {
		return "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
	}
	return ""
}

func TestUnsampledPathAllocatesOnce(t *testing.T) {
	tracer, _ := recording(t, never)
	ctx := t.Context()
	carried := tracer.Extract(ctx, incoming)
	for name, test := range map[string]struct {
		most float64
		run  func()
	}{
		"new trace":       {1, func() { newTrace(ctx, tracer) }},
		"incoming trace":  {1, func() { newTrace(tracer.Extract(ctx, incoming), tracer) }},
		"later steps":     {2, func() { newTrace(carried, tracer) }},
		"sending a trace": {1, func() { tracer.Inject(carried, func(string, string) {}) }},
	} {
		if n := testing.AllocsPerRun(1000, test.run); n > test.most {
			t.Errorf("%s allocates %v times, want at most %v", name, n, test.most)
		}
	}
}

func BenchmarkUnsampledNew(b *testing.B) {
	tracer, _ := recording(b, never)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		newTrace(ctx, tracer)
	}
}

func BenchmarkUnsampledIncoming(b *testing.B) {
	tracer, _ := recording(b, never)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		newTrace(tracer.Extract(ctx, incoming), tracer)
	}
}

func BenchmarkSampled(b *testing.B) {
	tracer, _ := recording(b, always)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		newTrace(ctx, tracer)
	}
}
