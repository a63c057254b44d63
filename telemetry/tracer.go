package telemetry

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// defaultSample is the share of traces recorded where nobody said otherwise.
const defaultSample = 0.01

// Tracer starts spans and carries traces over the wire. A nil Tracer records
// nothing and carries nothing. It is safe for concurrent use.
type Tracer struct {
	sample   func() float64
	spans    trace.Tracer // nil: nothing is recorded here
	provider *sdktrace.TracerProvider
}

func newTracer(opts Options, exporter sdktrace.SpanExporter, metrics prometheus.Registerer, logger *slog.Logger) (*Tracer, error) {
	t := &Tracer{sample: opts.Sample}
	if t.sample == nil {
		t.sample = func() float64 { return defaultSample }
	}
	if exporter == nil {
		return t, nil
	}
	batches, err := newBatcher(exporter, metrics, logger)
	if err != nil {
		return nil, err
	}
	t.provider = sdktrace.NewTracerProvider(
		// Start has decided before the SDK is asked.
		sdktrace.WithSampler(sdktrace.AlwaysSample()),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", opts.Service),
			attribute.String("service.instance.id", opts.Instance),
			attribute.String("service.version", opts.Version),
			attribute.String("deployment.environment.name", opts.Environment),
		)),
		sdktrace.WithSpanProcessor(batches),
	)
	t.spans = t.provider.Tracer("github.com/gowarren/warren")
	return t, nil
}

// Start begins a span as a child of the one in ctx, or a new trace. The span is
// nil, and every method of it does nothing, unless the trace is recorded: a
// trace that came with the request goes on as its caller decided, and a new one,
// or one that came from a stranger, is recorded by chance.
func (t *Tracer) Start(ctx context.Context, name string, kind trace.SpanKind) (context.Context, *Span) {
	if t == nil {
		return ctx, nil
	}
	parent := linkOf(ctx)
	if parent == nil {
		if t.spans == nil || !t.chosen() {
			return &link{Context: ctx, position: newPosition()}, nil
		}
		return t.record(ctx, trace.SpanContext{}, "", name, kind)
	}
	if parent.open && (t.spans == nil || !t.chosen()) {
		return &link{Context: ctx, position: parent.position, remote: true}, nil
	}
	if t.spans == nil || !parent.open && !parent.sampled() {
		return ctx, nil
	}
	return t.record(ctx, parent.spanContext(), parent.state, name, kind)
}

// chosen draws whether a new trace is recorded.
func (t *Tracer) chosen() bool {
	share := t.sample()
	return share >= 1 || share > 0 && rand.Float64() < share
}

// record builds the span: the only path that costs.
func (t *Tracer) record(ctx context.Context, parent trace.SpanContext, state, name string, kind trace.SpanKind) (context.Context, *Span) {
	ctx, recording := t.spans.Start(trace.ContextWithSpanContext(ctx, parent), name, trace.WithSpanKind(kind))
	at := recording.SpanContext()
	span := &Span{span: recording}
	return &link{
		Context:  ctx,
		position: position{trace: at.TraceID(), span: at.SpanID(), flags: at.TraceFlags(), state: state},
		span:     span,
	}, span
}

// Inject hands the trace of ctx to set, as the headers of W3C Trace Context.
func (t *Tracer) Inject(ctx context.Context, set func(key, value string)) {
	l := linkOf(ctx)
	if t == nil || l == nil {
		return
	}
	set(traceparentKey, l.traceparent())
	if l.state != "" {
		set(tracestateKey, l.state)
	}
}

// Extract returns a context that goes on with the trace that the caller sent.
// Headers that break the W3C recommendation are as good as none.
func (t *Tracer) Extract(ctx context.Context, get func(key string) string) context.Context {
	if t == nil {
		return ctx
	}
	at, ok := parseTraceparent(get(traceparentKey))
	if !ok {
		return ctx
	}
	if state := get(tracestateKey); validTracestate(state) {
		at.state = state
	}
	return &link{Context: ctx, position: at, remote: true}
}

// ExtractHTTP is Extract for HTTP headers: it doesn't pay for spelling their
// names, and joins what may come in several lines.
func (t *Tracer) ExtractHTTP(ctx context.Context, header http.Header) context.Context {
	if t == nil {
		return ctx
	}
	parents := header["Traceparent"]
	if len(parents) != 1 { // of two nobody knows which is true
		return ctx
	}
	return t.Extract(ctx, func(key string) string {
		if key == traceparentKey {
			return parents[0]
		}
		return strings.Join(header["Tracestate"], ",")
	})
}

// AdoptHTTP goes on with the trace that a stranger sent, so that his logs and
// ours can be found together, but takes nothing else from him: whether it is
// recorded is decided here, as for a new trace, and his tracestate is dropped.
func (t *Tracer) AdoptHTTP(ctx context.Context, header http.Header) context.Context {
	parents := header["Traceparent"]
	if t == nil || len(parents) != 1 {
		return ctx
	}
	at, ok := parseTraceparent(parents[0])
	if !ok {
		return ctx
	}
	at.flags &^= trace.FlagsSampled
	return &link{Context: ctx, position: at, remote: true, open: true}
}

// spanContext is the position as the SDK wants its parent.
func (l *link) spanContext() trace.SpanContext {
	config := trace.SpanContextConfig{TraceID: l.trace, SpanID: l.position.span, TraceFlags: l.flags, Remote: l.remote}
	if l.state != "" {
		config.TraceState, _ = trace.ParseTraceState(l.state) // was checked by Extract
	}
	return trace.NewSpanContext(config)
}

func (t *Tracer) flush(ctx context.Context) error {
	if t.provider == nil {
		return nil
	}
	return t.provider.ForceFlush(ctx)
}

func (t *Tracer) close(ctx context.Context) error {
	if t.provider == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// TraceID returns the id of the trace of ctx, or "". It is there whether the
// trace is recorded or not, so that logs and error answers can name it.
func TraceID(ctx context.Context) string {
	if l := linkOf(ctx); l != nil {
		return l.trace.String()
	}
	return ""
}
