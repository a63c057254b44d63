package telemetry

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/gowarren/warren/internal/redact"
)

// Span is one step of a trace. Whether it is recorded may turn out as late as its
// end: before, of a trace that nobody chose, only its beginning is noted. A nil
// Span stands for a step that is never recorded: its methods do nothing.
type Span struct {
	at       link                       // the place in the trace that this step is
	parent   *link                      // nil: the trace begins with it
	recorded atomic.Pointer[trace.Span] // nil: not yet
	tags     atomic.Pointer[[]attribute.KeyValue]
	name     string
	began    time.Duration // since the tracer's beginning
}

// SpanFromContext returns the span that Start put into ctx, nil where none is.
func SpanFromContext(ctx context.Context) *Span {
	if l := linkOf(ctx); l != nil {
		return l.current
	}
	return nil
}

// begin notes what recording needs, and records at once what was chosen.
func (s *Span) begin(parent *link, name string, kind trace.SpanKind) {
	s.at.id, s.at.current, s.at.kind = newSpanID(), s, uint8(kind)
	s.parent, s.name = parent, name
	if !s.at.sampled() {
		s.began = time.Since(s.tracer().began)
		return
	}
	s.at.Context = s.record(time.Time{})
	if parent != nil && parent.kept {
		s.SetAttr(lateAttrs(parent.passage.extra.Load().wanted)...)
	}
}

func (s *Span) tracer() *Tracer { return s.at.passage.tracer }

// record builds the span: the only path that costs. It returns the context that
// OpenTelemetry's own instrumentations know the span by.
func (s *Span) record(began time.Time) context.Context {
	l, kind := &s.at, trace.SpanKind(s.at.kind)
	parent := trace.SpanContextConfig{}
	if s.parent != nil {
		parent = trace.SpanContextConfig{TraceID: l.passage.trace, SpanID: s.parent.id, TraceFlags: l.flags, Remote: s.parent.remote}
		if state := l.passage.state(); state != "" {
			parent.TraceState, _ = trace.ParseTraceState(state) // was checked by Extract
		}
	}
	opts := []trace.SpanStartOption{trace.WithSpanKind(kind)}
	if kind == trace.SpanKindConsumer && parent.Remote {
		// As the conventions of messaging want it; it is the parent as well, so
		// that one trace follows a request to the last event it caused.
		opts = append(opts, trace.WithLinks(trace.Link{SpanContext: trace.NewSpanContext(parent)}))
	}
	if !began.IsZero() {
		opts = append(opts, trace.WithTimestamp(began))
	}
	base := &named{Context: l.Context, link: l}
	ctx, span := s.tracer().spans.Start(trace.ContextWithSpanContext(base, trace.NewSpanContext(parent)), s.name, opts...)
	if !s.recorded.CompareAndSwap(nil, &span) {
		return ctx // somebody else was faster
	}
	s.SetAttr(baggageAttrs(l)...)
	if tags := s.tags.Load(); tags != nil {
		s.SetAttr(*tags...)
	}
	return ctx
}

// Recording says whether the span is kept. What was not chosen is, once it went
// wrong or has lasted long: so ask, and set attributes, at the end and after
// SetError.
func (s *Span) Recording() bool {
	return s != nil && (s.recorded.Load() != nil || s.slow())
}

// SetName renames the span, once it is known what the request was for. It is for
// whoever started the span.
func (s *Span) SetName(name string) {
	if s == nil {
		return
	}
	if span := s.recorded.Load(); span != nil {
		(*span).SetName(name)
		return
	}
	s.name = name
}

// SetAttr adds attributes to a span that is recorded. Values under the keys of
// secrets, and card numbers, are redacted.
func (s *Span) SetAttr(attrs ...attribute.KeyValue) {
	if s == nil {
		return
	}
	if span := s.recorded.Load(); span != nil {
		(*span).SetAttributes(redactAttrs(attrs)...)
	}
}

// Tag sets an attribute that the span has in any case, also when it is recorded
// no earlier than at its end. That costs an allocation: it is for the few ids by
// which spans are found, of an order or of a transaction.
func (s *Span) Tag(key, value string) {
	if s == nil {
		return
	}
	tag := attribute.String(key, value)
	for {
		old := s.tags.Load()
		if s.recorded.Load() != nil {
			s.SetAttr(tag)
			return
		}
		var next []attribute.KeyValue
		if old != nil {
			next = slices.Clone(*old)
		}
		next = append(next, tag)
		if s.tags.CompareAndSwap(old, &next) {
			return
		}
	}
}

// Event notes that something happened now: a retry, a breaker that opened.
func (s *Span) Event(name string, attrs ...attribute.KeyValue) {
	if s == nil {
		return
	}
	if span := s.recorded.Load(); span != nil {
		(*span).AddEvent(name, trace.WithAttributes(redactAttrs(attrs)...))
	}
}

// SetError marks the span as gone wrong, and has it recorded. A nil error is
// ignored.
func (s *Span) SetError(err error) {
	if s == nil || err == nil {
		return
	}
	s.keep(lateError)
	if span := s.recorded.Load(); span != nil {
		text, _ := redact.Text(err.Error())
		(*span).SetStatus(codes.Error, text)
	}
}

// End finishes the span and hands it to the exporter, if it is recorded.
func (s *Span) End() {
	if s.Recording() {
		(*s.recorded.Load()).End()
	}
}
