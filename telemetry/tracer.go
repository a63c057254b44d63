package telemetry

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

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
	allowed  func() string
	spans    trace.Tracer // nil: nothing is recorded here
	provider *sdktrace.TracerProvider
	late     *late
	began    time.Time // what times of spans are counted from
}

func newTracer(opts Options, exporter sdktrace.SpanExporter, metrics prometheus.Registerer, logger *slog.Logger) (*Tracer, error) {
	t := &Tracer{sample: opts.Sample, allowed: opts.Baggage, began: time.Now()}
	if t.sample == nil {
		t.sample = func() float64 { return defaultSample }
	}
	if t.allowed == nil {
		t.allowed = func() string { return defaultBaggage }
	}
	if exporter == nil {
		return t, nil
	}
	var err error
	if t.late, err = newLate(opts, metrics); err != nil {
		return nil, err
	}
	batches, err := newBatcher(exporter, metrics, logger)
	if err != nil {
		return nil, err
	}
	t.provider = sdktrace.NewTracerProvider(
		// Start has decided before the SDK is asked.
		sdktrace.WithSampler(sdktrace.AlwaysSample()),
		sdktrace.WithIDGenerator(ids{}),
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

// Start begins a span as a child of the one in ctx, or a new trace. A trace that
// came with the request goes on as its caller decided, and a new one, or one that
// came from a stranger, is recorded by chance. A span of a trace that is not
// recorded is noted all the same, as cheaply as can be, until it is known whether
// it goes wrong or lasts long: then it is recorded after all.
func (t *Tracer) Start(ctx context.Context, name string, kind trace.SpanKind) (context.Context, *Span) {
	if t == nil {
		return ctx, nil
	}
	parent := linkOf(ctx)
	if parent == nil || parent.passage == nil {
		return t.first(ctx, parent, name, kind)
	}
	flags := parent.flags
	if parent.open {
		flags &^= trace.FlagsSampled
		if t.spans != nil && t.chosen() {
			flags |= trace.FlagsSampled
		}
	}
	switch {
	case t.spans == nil && parent.open:
		return &link{Context: ctx, passage: parent.passage, id: parent.id, flags: flags, remote: true, baggage: parent.baggage}, nil
	case t.spans == nil, !parent.open && !flags.IsSampled() && !t.late.wanted():
		return ctx, nil
	}
	p := parent.passage.of(t)
	s := p.step()
	s.at.Context, s.at.passage, s.at.flags, s.at.baggage = ctx, p, flags, parent.baggage
	s.begin(parent, name, kind)
	return &s.at, s
}

// first starts a new trace. What was to be carried by it comes with ctx.
func (t *Tracer) first(ctx context.Context, parent *link, name string, kind trace.SpanKind) (context.Context, *Span) {
	var baggage *string
	if parent != nil {
		baggage = parent.baggage
	}
	chosen := t.spans != nil && t.chosen()
	if !chosen && (t.spans == nil || !t.late.wanted()) {
		c := new(carried)
		c.trace, c.tracer = newTraceID(), t
		c.at.Context, c.at.passage, c.at.id, c.at.flags, c.at.baggage = ctx, &c.passage, newSpanID(), trace.FlagsRandom, baggage
		return &c.at, nil
	}
	b := new(started)
	b.passage.room = &b.room
	b.trace, b.tracer = newTraceID(), t
	s := b.step()
	s.at.Context, s.at.passage, s.at.flags, s.at.baggage = ctx, &b.passage, trace.FlagsRandom, baggage
	if chosen {
		s.at.flags |= trace.FlagsSampled
	}
	s.begin(nil, name, kind)
	return &s.at, s
}

// chosen draws whether a new trace is recorded.
func (t *Tracer) chosen() bool {
	share := t.sample()
	return share >= 1 || share > 0 && rand.Float64() < share
}

// Inject hands the trace of ctx to set, as the headers of W3C Trace Context, and
// what it carries as that of W3C Baggage.
func (t *Tracer) Inject(ctx context.Context, set func(key, value string)) {
	l := linkOf(ctx)
	if t == nil || l == nil {
		return
	}
	if l.baggage != nil {
		set(baggageKey, *l.baggage)
	}
	if l.passage == nil {
		return
	}
	set(traceparentKey, l.traceparent())
	if state := l.passage.state(); state != "" {
		set(tracestateKey, state)
	}
}

// Extract returns a context that goes on with the trace that the caller sent.
// Headers that break the W3C recommendation are as good as none.
func (t *Tracer) Extract(ctx context.Context, get func(key string) string) context.Context {
	if t == nil {
		return ctx
	}
	baggage := ""
	if sent := get(baggageKey); sent != "" {
		baggage = filterBaggage(sent, t.allowed())
	}
	at, ok := parseTraceparent(get(traceparentKey))
	if !ok {
		return carry(ctx, baggage)
	}
	if state := get(tracestateKey); validTracestate(state) {
		at.state = state
	}
	return t.arrive(ctx, at, baggage)
}

// ExtractHTTP is Extract for HTTP headers: it doesn't pay for spelling their
// names, and joins what may come in several lines.
func (t *Tracer) ExtractHTTP(ctx context.Context, header http.Header) context.Context {
	if t == nil {
		return ctx
	}
	parents, baggage := header["Traceparent"], header["Baggage"]
	if len(parents) != 1 && len(baggage) == 0 { // of two nobody knows which is true
		return ctx
	}
	return t.Extract(ctx, func(key string) string {
		switch {
		case key == baggageKey:
			return strings.Join(baggage, ",")
		case key == tracestateKey:
			return strings.Join(header["Tracestate"], ",")
		case len(parents) == 1:
			return parents[0]
		}
		return ""
	})
}

// AdoptHTTP goes on with the trace that a stranger sent, so that his logs and
// ours can be found together, but takes little else from him: whether it is
// recorded is decided here, as for a new trace, and his tracestate is dropped. Of
// his baggage the keys that are allowed are taken, as from everybody.
func (t *Tracer) AdoptHTTP(ctx context.Context, header http.Header) context.Context {
	if t == nil {
		return ctx
	}
	baggage := ""
	if sent := header["Baggage"]; len(sent) > 0 {
		baggage = filterBaggage(strings.Join(sent, ","), t.allowed())
	}
	parents := header["Traceparent"]
	if len(parents) != 1 {
		return carry(ctx, baggage)
	}
	at, ok := parseTraceparent(parents[0])
	if !ok {
		return carry(ctx, baggage)
	}
	at.flags &^= trace.FlagsSampled
	l := t.arrive(ctx, at, baggage)
	l.open = true
	return l
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
	if l := placed(ctx); l != nil {
		return l.passage.trace.String()
	}
	return ""
}
