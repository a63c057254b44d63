package telemetry_test

import (
	"net/http"
	"testing"

	"go.opentelemetry.io/otel/trace"
)

func TestAdoptedTraceIsDecidedAnew(t *testing.T) {
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	for name, test := range map[string]struct {
		flags  string
		sample func() float64
		spans  int
		sent   string
	}{
		"he wants it recorded, we do not": {"01", never, 0, "00"},
		"he does not, we do":              {"00", always, 2, "01"},
		"both do":                         {"01", always, 2, "01"},
	} {
		t.Run(name, func(t *testing.T) {
			tracer, spans := recording(t, test.sample)
			sent := http.Header{"Traceparent": {"00-" + id + "-00f067aa0ba902b7-" + test.flags}, "Tracestate": {"rojo=1"}}
			ctx, serve := tracer.Start(tracer.AdoptHTTP(t.Context(), sent), "serve", trace.SpanKindServer)
			ctx, call := tracer.Start(ctx, "call", trace.SpanKindClient)
			call.End()
			serve.End()
			if got := len(spans()); got != test.spans {
				t.Errorf("%d spans, want %d", got, test.spans)
			}
			next := make(http.Header)
			tracer.Inject(ctx, next.Set)
			parent := next.Get("Traceparent")
			if len(parent) != 55 || parent[3:35] != id || parent[53:] != test.sent {
				t.Errorf("goes on as %q, want trace %s with flags %s", parent, id, test.sent)
			}
			if next.Get("Tracestate") != "" {
				t.Errorf("his tracestate goes on: %q", next.Get("Tracestate"))
			}
		})
	}
	tracer, _ := recording(t, never)
	for name, sent := range map[string]http.Header{
		"none": {}, "damaged": {"Traceparent": {"00-x"}}, "two": {"Traceparent": {"00-" + id + "-00f067aa0ba902b7-01", "00-" + id + "-00f067aa0ba902b7-01"}},
	} {
		if tracer.AdoptHTTP(t.Context(), sent) != t.Context() {
			t.Errorf("%s: something was adopted", name)
		}
	}
}
