package telemetry

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestTraceparent(t *testing.T) {
	for text, want := range map[string]string{
		parent: parent,
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
		// Flags nobody has defined yet mean nothing, but their trace goes on.
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03",
		// Later versions may say more.
		"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01":      parent,
		"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more": parent,
	} {
		if at, ok := parseTraceparent(text); !ok || written(at) != want {
			t.Errorf("%s is read as %s, %v", text, written(at), ok)
		}
	}
	for _, text := range []string{
		"", "00", parent + "-", parent + "-x", parent[:54],
		"ff" + parent[2:],                    // the forbidden version
		"cc" + parent[2:] + "more",           // a later version without its dash
		strings.ToUpper(parent),              // hex in capitals
		strings.Replace(parent, "-", "_", 1), // another separator
		strings.Replace(parent, "4bf", "4bg", 1),
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
		" " + parent[1:],
	} {
		if at, ok := parseTraceparent(text); ok {
			t.Errorf("%q is read as %s", text, written(at))
		}
	}
}

func written(at position) string {
	return (&Tracer{}).arrive(context.Background(), at, "").traceparent()
}

func TestTracestate(t *testing.T) {
	for text, want := range map[string]bool{
		",": false,
		"":  false,
		"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE": true,
		"a=1,b":                         false,
		"a=1,a=2":                       false,
		"A=1":                           false,
		"a=" + strings.Repeat("x", 200): true,
		"a=" + strings.Repeat("x", 200) + ",b=" + strings.Repeat("x", 200) + ",c=" + strings.Repeat("x", 200): false,
	} {
		if got := validTracestate(text); got != want {
			t.Errorf("validTracestate(%q) = %v", text, got)
		}
	}
}

// FuzzExtract compares with OpenTelemetry's own propagator: what it refuses we
// refuse, and what we accept we hand on unchanged.
func FuzzExtract(f *testing.F) {
	f.Add(parent, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")
	f.Add("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", "a=1,,b=2")
	f.Add("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "=")
	f.Fuzz(func(t *testing.T, traceparent, tracestate string) {
		tracer := &Tracer{}
		header := propagation.MapCarrier{traceparentKey: traceparent, tracestateKey: tracestate}
		ctx := tracer.Extract(t.Context(), header.Get)
		theirs := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(t.Context(), header))
		l := linkOf(ctx)
		if l == nil {
			return // stricter than they are is allowed: see the table above
		}
		if strings.HasPrefix(traceparent, "00") && !theirs.IsValid() && traceparent[53:] > "03" {
			return // they refuse flags not defined yet; the recommendation ignores them
		}
		if !theirs.IsValid() || theirs.TraceID() != l.passage.trace || theirs.SpanID() != l.id || theirs.IsSampled() != l.sampled() {
			t.Fatalf("we read %s, they %+v", l.traceparent(), theirs)
		}
		sent := make(http.Header)
		tracer.Inject(ctx, sent.Set)
		again := tracer.Extract(t.Context(), sent.Get)
		if got := linkOf(again); got == nil || got.traceparent() != l.traceparent() || got.passage.state() != l.passage.state() {
			t.Fatalf("%s went out as %v", l.traceparent(), sent)
		}
		if state, err := trace.ParseTraceState(l.passage.state()); l.passage.state() != "" && (err != nil || state.Len() == 0) {
			t.Fatalf("state %q was accepted, and is nothing", l.passage.state())
		}
	})
}
