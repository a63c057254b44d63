package telemetry_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/gowarren/warren/telemetry"
)

func attrOf(s tracetest.SpanStub, key string) string {
	for _, a := range s.Attributes {
		if string(a.Key) == key {
			return a.Value.String()
		}
	}
	return ""
}

func TestErrorsAreRecordedLate(t *testing.T) {
	tracer, spans := recording(t, never)
	ctx, serve := tracer.Start(t.Context(), "serve", trace.SpanKindServer)
	serve.SetName("GET /v1/orders")
	inner, call := tracer.Start(ctx, "call", trace.SpanKindClient)
	_, good := tracer.Start(ctx, "good", trace.SpanKindClient)
	sent := make(http.Header)
	tracer.Inject(inner, sent.Set)
	good.End()
	call.SetError(errors.New("orders are away"))
	if !call.Recording() {
		t.Error("the call went wrong and is not recorded")
	}
	call.SetAttr(attribute.Int("attempts", 2))
	call.End()
	serve.SetError(errors.New("answered 503"))
	serve.End()

	got := spans()
	if len(got) != 2 || got[0].Name != "call" || got[1].Name != "GET /v1/orders" {
		t.Fatalf("got %d spans: %+v", len(got), got)
	}
	called, served := got[0], got[1]
	if called.Parent.SpanID() != served.SpanContext.SpanID() || called.SpanContext.TraceID() != served.SpanContext.TraceID() || served.Parent.IsValid() {
		t.Errorf("parents: %s and %s", called.Parent.SpanID(), served.Parent.SpanID())
	}
	if want := "00-" + telemetry.TraceID(ctx) + "-" + called.SpanContext.SpanID().String() + "-02"; sent.Get("traceparent") != want {
		t.Errorf("sent %s, recorded as %s", sent.Get("traceparent"), want)
	}
	if called.Status.Code != codes.Error || attrOf(called, "attempts") != "2" || attrOf(called, "warren.sampled.late") != "true" || attrOf(called, "warren.sampled.reason") != "error" {
		t.Errorf("%+v %+v", called.Status, called.Attributes)
	}
	if called.SpanKind != trace.SpanKindClient || served.SpanKind != trace.SpanKindServer || served.EndTime.Before(called.EndTime) || served.StartTime.After(called.StartTime) {
		t.Errorf("%+v", got)
	}
}

func TestLateSpanOfACallersTrace(t *testing.T) {
	tracer, spans := recording(t, always) // which is not asked: the caller did not choose it
	ctx := tracer.Extract(t.Context(), incoming)
	_, span := tracer.Start(ctx, "serve", trace.SpanKindServer)
	span.SetError(io.EOF)
	span.End()
	got := spans()
	if len(got) != 1 || got[0].Parent.SpanID().String() != "00f067aa0ba902b7" || !got[0].Parent.IsRemote() {
		t.Fatalf("%+v", got)
	}
}

func TestSlowSpansAreRecordedLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, exporter := time.Second, tracetest.NewInMemoryExporter()
		tel, err := telemetry.Open(t.Context(), telemetry.Options{
			Exporter: exporter, Sample: never, Output: io.Discard, Slow: func() time.Duration { return slow },
		})
		if err != nil {
			t.Fatal(err)
		}
		step := func(name string, lasts time.Duration) {
			_, span := tel.Tracer().Start(t.Context(), name, trace.SpanKindServer)
			<-time.After(lasts)
			span.End()
		}
		step("quick", 999*time.Millisecond)
		step("slow", 1500*time.Millisecond)
		slow = 2 * time.Second
		step("no longer slow", 1500*time.Millisecond)
		slow = 0
		step("never slow", time.Hour)
		if err := errors.Join(tel.Flush(t.Context())); err != nil {
			t.Error(err)
		}
		got := exporter.GetSpans()
		if err := tel.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if len(got) != 1 || got[0].Name != "slow" || attrOf(got[0], "warren.sampled.reason") != "slow" {
			t.Fatalf("%+v", got)
		}
		if took := got[0].EndTime.Sub(got[0].StartTime); took != 1500*time.Millisecond {
			t.Errorf("it lasted %s", took)
		}
	})
}

func TestLateSpansAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		most, exporter := 3, tracetest.NewInMemoryExporter()
		tel, err := telemetry.Open(t.Context(), telemetry.Options{
			Exporter: exporter, Sample: never, Output: io.Discard, Late: func() int { return most },
		})
		if err != nil {
			t.Fatal(err)
		}
		fail := func(n int) {
			for range n {
				_, span := tel.Tracer().Start(t.Context(), "x", trace.SpanKindServer)
				span.SetError(io.EOF)
				span.End()
			}
		}
		fail(5)
		<-time.After(time.Second)
		fail(2)
		most = 0
		fail(1)
		if err := tel.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if n := len(exporter.GetSpans()); n != 5 {
			t.Errorf("%d spans, want 5", n)
		}
		if err := tel.Close(t.Context()); err != nil {
			t.Error(err)
		}
		families, err := tel.Metrics().Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "warren_traces_late_refused_spans_total" && f.GetMetric()[0].GetCounter().GetValue() != 2 {
				t.Errorf("%v were refused, want 2", f.GetMetric()[0].GetCounter().GetValue())
			}
		}
	})
}

func TestKeptTraceIsRecordedFromThereOn(t *testing.T) {
	tracer, spans := recording(t, never)
	ctx, outer := tracer.Start(t.Context(), "step", trace.SpanKindInternal)
	kept, undo := tracer.Start(telemetry.Keep(ctx, "compensation"), "undo", trace.SpanKindInternal)
	sent := make(http.Header)
	tracer.Inject(kept, sent.Set)
	_, below := tracer.Start(tracer.Extract(t.Context(), sent.Get), "serve", trace.SpanKindServer)
	below.End()
	undo.End()
	outer.End()
	got := spans()
	if len(got) != 2 || got[0].Name != "serve" || got[1].Name != "undo" {
		t.Fatalf("%+v", got)
	}
	if got[0].Parent.SpanID() != got[1].SpanContext.SpanID() || attrOf(got[1], "warren.sampled.reason") != "compensation" {
		t.Errorf("%+v", got)
	}
	if telemetry.Keep(t.Context(), "nothing") != t.Context() {
		t.Error("something is kept where no trace is")
	}
}

func TestBaggage(t *testing.T) {
	allowed, exporter := "synthetic", tracetest.NewInMemoryExporter()
	tel, err := telemetry.Open(t.Context(), telemetry.Options{
		Exporter: exporter, Sample: always, Output: io.Discard, Baggage: func() string { return allowed },
	})
	if err != nil {
		t.Fatal(err)
	}
	tracer := tel.Tracer()
	defer func() {
		if err := tel.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	header := http.Header{"Baggage": {"user=7, synthetic=true;why=probe", "tenant=a%20b"}}
	for name, arrive := range map[string]func(context.Context, http.Header) context.Context{
		"extracted": tracer.ExtractHTTP, "adopted": tracer.AdoptHTTP,
	} {
		t.Run(name, func(t *testing.T) {
			for list, want := range map[string]string{"": "", "synthetic": "synthetic=true", "tenant, synthetic": "synthetic=true,tenant=a%20b"} {
				allowed = list
				ctx, span := tracer.Start(arrive(t.Context(), header), "serve", trace.SpanKindServer)
				sent := make(http.Header)
				tracer.Inject(ctx, sent.Set)
				if sent.Get("Baggage") != want {
					t.Errorf("%q allowed: went on as %q, want %q", list, sent.Get("Baggage"), want)
				}
				span.End()
			}
		})
	}
	ctx, span := tracer.Start(telemetry.WithBaggage(t.Context(), "synthetic", "true"), "probe", trace.SpanKindClient)
	ctx = telemetry.WithBaggage(ctx, "tenant", "a b")
	ctx = telemetry.WithBaggage(ctx, "not a key", "x")
	if telemetry.Baggage(ctx, "synthetic") != "true" || telemetry.Baggage(ctx, "tenant") != "a b" || telemetry.Baggage(ctx, "user") != "" ||
		telemetry.SpanFromContext(ctx) != span || telemetry.TraceID(ctx) == "" {
		t.Error("what was put in is not there")
	}
	span.End()
	if err := tel.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := exporter.GetSpans()
	if got := attrOf(all[len(all)-1], "baggage.synthetic"); got != "true" {
		t.Errorf("the span says %q", got)
	}
}
