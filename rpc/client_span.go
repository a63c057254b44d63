package rpc

import (
	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/grpc/codes"

	"github.com/gowarren/warren/telemetry"
)

// endSpan says what became of a call, with the names of OpenTelemetry.
func endSpan(span *telemetry.Span, m *method, tried []*instance, attempts int, code codes.Code, err error) {
	if serverFault(code) {
		span.SetError(err) // worth recording; what the caller did wrong is not
	}
	if !span.Recording() {
		return
	}
	name := codeNames[codes.Unknown]
	if int(code) < numCodes {
		name = codeNames[code]
	}
	span.SetAttr(attribute.String("rpc.system.name", "grpc"), attribute.String("rpc.method", m.spanName),
		attribute.String("rpc.response.status_code", name))
	if len(tried) > 0 {
		last := tried[len(tried)-1]
		span.SetAttr(attribute.String("server.address", last.dial), attribute.String("warren.instance", last.key.id))
	}
	if attempts > 1 {
		span.SetAttr(attribute.Int("warren.attempts", attempts))
	}
	span.SetError(err)
	span.End()
}

// serverFault says whether a code is the server's doing, as OpenTelemetry has it.
func serverFault(code codes.Code) bool {
	switch code {
	case codes.Unknown, codes.DeadlineExceeded, codes.Unimplemented, codes.Internal, codes.Unavailable, codes.DataLoss:
		return true
	}
	return false
}
