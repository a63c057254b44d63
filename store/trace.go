package store

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/gowarren/warren/telemetry"
)

const clientKind = trace.SpanKindClient

type span = *telemetry.Span

func (db *DB) tracer() *telemetry.Tracer { return db.opts.Tracer }

func (db *DB) startSpan(ctx context.Context, s *statement) (context.Context, span) {
	if db.opts.Tracer == nil {
		return ctx, nil
	}
	ctx, span := db.opts.Tracer.Start(ctx, s.summary(), clientKind)
	if span.Recording() {
		span.SetAttr(
			attribute.String("db.system.name", systemNames[db.engine.dialect]),
			attribute.String("db.namespace", db.name),
			attribute.String("db.operation.name", s.op),
			attribute.String("db.collection.name", s.table),
			attribute.String("db.query.text", shortened(s.text)),
		)
	}
	return ctx, span
}
