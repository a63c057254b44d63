package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Span is one recorded step of a trace. A nil Span stands for a step that isn't
// recorded: its methods do nothing.
type Span struct {
	span trace.Span
}

// SpanFromContext returns the span that Start put into ctx, nil where none is
// recorded.
func SpanFromContext(ctx context.Context) *Span {
	if l := linkOf(ctx); l != nil {
		return l.span
	}
	return nil
}

// Recording says whether the span is kept: ask before computing attributes that
// cost something.
func (s *Span) Recording() bool { return s != nil }

// SetName renames the span, once it is known what the request was for.
func (s *Span) SetName(name string) {
	if s != nil {
		s.span.SetName(name)
	}
}

// SetAttr adds attributes. Values under the keys of secrets are redacted.
func (s *Span) SetAttr(attrs ...attribute.KeyValue) {
	if s != nil {
		s.span.SetAttributes(redactAttrs(attrs)...)
	}
}

// Event notes that something happened now: a retry, a breaker that opened.
func (s *Span) Event(name string, attrs ...attribute.KeyValue) {
	if s != nil {
		s.span.AddEvent(name, trace.WithAttributes(redactAttrs(attrs)...))
	}
}

// SetError marks the span as gone wrong. A nil error is ignored.
func (s *Span) SetError(err error) {
	if s != nil && err != nil {
		s.span.SetStatus(codes.Error, err.Error())
	}
}

// End finishes the span and hands it to the exporter.
func (s *Span) End() {
	if s != nil {
		s.span.End()
	}
}
