package store

import (
	"context"
	"errors"

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
	return db.opts.Tracer.Start(ctx, s.summary(), clientKind)
}

// endSpan says what was done. What the program may have meant to happen is worth
// no recording for itself: a row that is there already, a caller who gave up.
func (db *DB) endSpan(span span, s *statement, err error) {
	fault := db.faultOf(err)
	if err != nil && (span.Recording() || fault != faultConflict && fault != faultReference && !errors.Is(err, context.Canceled)) {
		span.SetError(err)
	}
	if span.Recording() {
		span.SetAttr(db.engine.place...)
		span.SetAttr(
			attribute.String("db.operation.name", s.op),
			attribute.String("db.collection.name", s.table),
			attribute.String("db.query.text", shortened(s.text)),
		)
		span.End()
	}
}

// endTx is endSpan for a transaction, which fails when its function says so: only
// what the database did is worth a recording.
func (db *DB) endTx(span span, err error) {
	switch db.faultOf(err) {
	case faultContention, faultBusy, faultLost, faultAway:
		span.SetError(err)
	}
	if span.Recording() {
		span.SetError(err)
		span.SetAttr(db.engine.place...)
		span.End()
	}
}
