package rpc

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	rpcv1 "github.com/gowarren/warren/api/warren/rpc/v1"
	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/rpc/internal/admission"
	"github.com/gowarren/warren/telemetry"
)

// servedMethod is everything that is known of a method before its first call.
type servedMethod struct {
	server   *Server
	contract *contract.Method
	name     string // "shop.catalog.v1.CatalogService/GetProduct"
	timeout  *config.Value[time.Duration]
	rules    *rules // nil: every message is valid
	metrics  *methodMetrics
	faults   faultPolicy
}

// unary puts the method's contract before its handler.
func (m *servedMethod) unary(handle grpc.MethodHandler) grpc.MethodHandler {
	return func(srv any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (reply any, err error) {
		c := m.begin(ctx)
		defer func() { err = c.end(recover(), err) }()
		if err := c.admit(); err != nil {
			return nil, err
		}
		c.running = true
		return handle(srv, c.ctx, m.decoder(decode), m.server.intercept)
	}
}

// stream does for a stream, once, what unary does for a call; messages are
// validated one by one.
func (m *servedMethod) stream(handle grpc.StreamHandler) grpc.StreamHandler {
	return func(srv any, stream grpc.ServerStream) (err error) {
		c, s := m.begin(stream.Context()), &serverStream{ServerStream: stream, method: m}
		defer func() {
			c.opened = s.opened
			err = c.end(recover(), err)
		}()
		if err := c.admit(); err != nil {
			return err
		}
		c.running = true
		s.ctx = &streamContext{Context: c.ctx, draining: m.server.draining}
		return handle(srv, s)
	}
}

// call is one call or stream on its way through the server.
type call struct {
	method  *servedMethod
	ctx     context.Context
	span    *telemetry.Span
	start   time.Time
	opened  time.Time // when a stream's first message was sent
	permit  admission.Permit
	cancel  context.CancelFunc // nil when the deadline is the caller's
	running bool               // the handler has begun
}

func (m *servedMethod) begin(ctx context.Context) call {
	s := m.server
	c := call{method: m, ctx: ctx, start: time.Now()}
	s.inFlight.Add(1)
	s.lastCall.Store(c.start.UnixNano())
	if !m.contract.Unary() {
		s.streams.Add(1)
	}
	if t := s.opts.Tracer; t != nil {
		c.ctx = t.Extract(ctx, func(key string) string { return incoming(ctx, key) })
		c.ctx, c.span = t.Start(c.ctx, m.name, trace.SpanKindServer)
	}
	return c
}

// incoming returns the first value of a piece of metadata, or "".
func incoming(ctx context.Context, key string) string {
	if values := metadata.ValueFromIncomingContext(ctx, key); len(values) > 0 {
		return values[0]
	}
	return ""
}

// admit decides whether the handler sees the call: cheap refusals first.
func (c *call) admit() error {
	c.limitTime()
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if err := c.enter(); err != nil {
		return err
	}
	caller, err := c.method.server.identify(c.ctx)
	if err != nil {
		return err
	}
	if !caller.Anonymous() || caller.Service != "" {
		c.ctx = auth.NewContext(c.ctx, caller)
	}
	if err := auth.Allow(caller, c.method.contract); err != nil {
		return denied(c.method.name, err)
	}
	if c.method.contract.IdempotencyKey == contract.KeyRequired && incoming(c.ctx, MetadataIdempotencyKey) == "" {
		return Errorf(rpcv1.Reason_REASON_IDEMPOTENCY_KEY_REQUIRED, "%s needs an idempotency key", c.method.name)
	}
	if f := c.method.faults.now.Load(); f != nil {
		return f.serve(c)
	}
	return nil
}

// limitTime gives a call that came without a deadline the method's own.
func (c *call) limitTime() {
	if _, has := c.ctx.Deadline(); has {
		return
	}
	if timeout := c.method.timeout.Get(); timeout > 0 {
		c.ctx, c.cancel = context.WithTimeout(c.ctx, timeout)
	}
}

// enter takes a place among the calls that run. A stream is admitted like a
// call, but holds no place: it may be open, and idle, for hours.
func (c *call) enter() error {
	s, m := c.method.server, c.method.contract
	if !m.Unary() && int(s.streams.Load()) > s.settings.streamsMax.Get() {
		s.metrics.shed(m.Priority)
		return c.overloaded()
	}
	permit, err := s.admission.Admit(c.ctx, m.Priority)
	if errors.Is(err, admission.ErrOverloaded) {
		return c.overloaded()
	}
	if err != nil {
		return err
	}
	if m.Unary() {
		c.permit = permit
	} else {
		permit.Done(false)
	}
	return nil
}

// end turns what the handler left into the answer and lets go of everything.
func (c *call) end(panicked any, err error) error {
	m, s := c.method, c.method.server
	code := codes.OK
	var failure *Error
	switch {
	case panicked != nil:
		failure = c.recovered(panicked)
	case err != nil:
		failure = c.explain(err)
	}
	if failure != nil {
		code = failure.Code
	}
	// What was refused, or given up by its caller, says nothing about how fast
	// the instance is.
	c.permit.Done(c.running && code != codes.Canceled)
	if c.cancel != nil {
		c.cancel()
	}
	took := time.Since(c.start)
	if !c.opened.IsZero() {
		took = c.opened.Sub(c.start) // how long somebody listens says nothing of who serves
	}
	m.metrics.observe(code, took)
	c.endSpan(code, failure)
	if !m.contract.Unary() {
		s.streams.Add(-1)
	}
	s.inFlight.Add(-1)
	if failure != nil {
		return failure
	}
	return nil
}

func (c *call) endSpan(code codes.Code, failure *Error) {
	if serverFault(code) && failure != nil { // the others are the caller's doing: to the server they are no error
		c.span.SetError(failure)
	}
	if !c.span.Recording() {
		return
	}
	c.span.SetAttr(attribute.String("rpc.system.name", "grpc"), attribute.String("rpc.method", c.method.name),
		attribute.String("rpc.response.status_code", codeName(code)))
	c.span.End()
}
