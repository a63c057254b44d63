package rpc

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	rpcv1 "github.com/gowarren/warren/api/warren/rpc/v1"
	"github.com/gowarren/warren/telemetry"
)

// metadataReference is under which name an answer carries the reference by
// which its cause is found in the log.
const metadataReference = "reference"

// explain turns what a handler returned into what its caller may see.
func (c *call) explain(err error) *Error {
	ended := c.ctx.Err()
	e, known := errors.AsType[*Error](err)
	if !known {
		if e = FromError(err); e.Code == codes.Unknown || fromContext(err) {
			e = nil
		}
	}
	switch {
	case e == nil && ended != nil:
		// Whatever was under way when time ran out broke off because of that.
		return timeout(ended)
	case e == nil && errors.Is(err, context.DeadlineExceeded):
		return timeout(context.DeadlineExceeded)
	case e == nil && passes(err):
		return c.away(err)
	case e == nil, e.Code == codes.OK:
		return c.internal(err)
	case e.Code == codes.Unavailable && e.Domain == domain && c.running:
		return dependency(e)
	}
	switch e.Code {
	case codes.Internal, codes.Unknown, codes.DataLoss:
		c.method.server.logger.ErrorContext(c.ctx, "call failed", "method", c.method.name, "error", err)
	}
	return e
}

// fromContext reports whether the error is a context's own, in one layer or
// another, and not a status that was received.
func fromContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

func timeout(err error) *Error {
	if errors.Is(err, context.Canceled) {
		return Errorf(rpcv1.Reason_REASON_CANCELED, "the caller went away")
	}
	return Errorf(rpcv1.Reason_REASON_DEADLINE_EXCEEDED, "time ran out")
}

// dependency keeps our caller from taking what another service did not begin
// for what we did not begin: this call was begun, and may have had effects.
func dependency(e *Error) *Error {
	failed := Errorf(rpcv1.Reason_REASON_DEPENDENCY_UNAVAILABLE, "a service that this one needs is not available: %w", e)
	failed.Message = "a service that this one needs is not available: " + e.Message
	failed.RetryAfter = e.RetryAfter
	failed.Metadata = map[string]string{"reason": e.Reason}
	return failed
}

// passes reports whether an error says of itself that it goes away, as that of a
// database does that is away.
func passes(err error) bool {
	var says interface{ Unavailable() bool }
	return errors.As(err, &says) && says.Unavailable()
}

// comeBack is after how long an engine of ours that is away is tried again.
const comeBack = time.Second

// away tells that something the handler needs isn't there. What it is, the log
// says. The call was begun, and may have had effects.
func (c *call) away(err error) *Error {
	e := Errorf(rpcv1.Reason_REASON_DEPENDENCY_UNAVAILABLE, "something that this service needs is not available")
	e.RetryAfter = comeBack
	reference := c.reference()
	e.Metadata = map[string]string{metadataReference: reference}
	c.method.server.logger.WarnContext(c.ctx, "call found something away",
		"method", c.method.name, "error", err, metadataReference, reference)
	return e
}

// internal hides an error that nobody explained behind a reference to the log.
func (c *call) internal(err error) *Error {
	e := Errorf(rpcv1.Reason_REASON_INTERNAL, "internal error")
	reference := c.reference()
	e.Metadata = map[string]string{metadataReference: reference}
	c.method.server.logger.ErrorContext(c.ctx, "call failed",
		"method", c.method.name, "error", err, metadataReference, reference)
	return e
}

// recovered makes a panic one error for one caller.
func (c *call) recovered(value any) *Error {
	e := Errorf(rpcv1.Reason_REASON_INTERNAL, "internal error")
	reference := c.reference()
	e.Metadata = map[string]string{metadataReference: reference}
	c.method.metrics.panics.Inc()
	c.method.server.logger.ErrorContext(c.ctx, "panic in handler",
		"method", c.method.name, "panic", fmt.Sprint(value), metadataReference, reference, "stack", string(debug.Stack()))
	return e
}

// reference is the trace, which leads to the log lines of all services, or a
// random one where there are no traces.
func (c *call) reference() string {
	if id := telemetry.TraceID(c.ctx); id != "" {
		return id
	}
	var b [8]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// overloaded refuses a call that was not begun, and says when to come back: in
// the error, and in the trailer that gRPC's own clients obey.
func (c *call) overloaded() *Error {
	e := Errorf(rpcv1.Reason_REASON_OVERLOADED, "the instance has more work than it can do")
	e.RetryAfter = c.method.server.admission.RetryAfter()
	milliseconds := strconv.FormatInt(e.RetryAfter.Milliseconds(), 10)
	// Only fails when the stream is gone, and then nobody needs it.
	_ = grpc.SetTrailer(c.ctx, metadata.Pairs(metadataPushback, milliseconds))
	return e
}
