package rpc

import (
	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/grpc/codes"

	"github.com/gowarren/warren/telemetry"
)

// endSpan says what became of a call, with the names of OpenTelemetry.
func endSpan(span *telemetry.Span, tried []*instance, attempts int, code codes.Code, err error) {
	if !span.Recording() {
		return
	}
	name := codeNames[codes.Unknown]
	if int(code) < numCodes {
		name = codeNames[code]
	}
	span.SetAttr(attribute.String("rpc.system.name", "grpc"), attribute.String("rpc.response.status_code", name))
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
