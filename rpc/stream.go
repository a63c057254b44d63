package rpc

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren/telemetry"
)

// NewStream starts a stream. It goes the same way as a unary call, and is
// measured once, at its end. As with grpc-go, a stream must be read to its end
// or its context cancelled. Errors are *Error, but io.EOF.
func (c *Client) NewStream(ctx context.Context, desc *grpc.StreamDesc, fullMethod string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	m, err := c.method(fullMethod)
	if err != nil {
		return nil, err
	}
	s := &stream{client: c, method: m, policy: m.policy.Load(), desc: desc, opts: opts, started: c.now()}
	ctx, s.cancel = withTimeout(ctx, s.policy.timeout)
	ctx, s.span = c.opts.Tracer.Start(ctx, m.spanName, trace.SpanKindClient)
	t := m.target
	p := t.policy.Load()
	t.budget.deposit(p, t.throttle.total.Load(), s.started)
	if !t.throttle.allow(p, s.started) {
		c.metrics.throttled.Inc()
		err := t.throttled()
		s.over(err)
		return nil, err
	}
	s.ctx, s.repeated = c.outgoing(ctx)
	s.leg = s.newLeg()
	if err := s.leg.open(); err != nil {
		s.over(err)
		return nil, FromError(err)
	}
	return s, nil
}

// stream is a stream as its caller sees it. Until its first message it may be
// started again, or twice at once, if it has one request, which can be sent
// again.
type stream struct {
	client   *Client
	method   *method
	policy   *policy
	desc     *grpc.StreamDesc
	opts     []grpc.CallOption
	ctx      context.Context
	cancel   context.CancelFunc
	span     *telemetry.Span
	started  int64
	repeated bool // the stream serves a call that is a repeat

	mu       sync.Mutex // for what its legs count: gRPC may end a stream beside its user
	leg      *leg
	request  any // to be sent again
	received bool
	finished sync.Once
}

// once reports whether the stream has one request, so that it can be sent
// again.
func (s *stream) once() bool { return s.desc.ServerStreams && !s.desc.ClientStreams }

// replayable reports whether all that was sent can be sent again, and nothing
// that came back would be lost.
func (s *stream) replayable() bool { return !s.received && s.request != nil && s.once() }

// SendMsg sends a message.
func (s *stream) SendMsg(m any) error {
	if !s.desc.ClientStreams {
		s.request = m
	}
	err := s.leg.SendMsg(m)
	if err == nil || errors.Is(err, io.EOF) { // the reason comes from RecvMsg
		return err
	}
	s.over(err)
	return FromError(err)
}

// RecvMsg receives a message. io.EOF is the stream's good end.
func (s *stream) RecvMsg(m any) error {
	err := s.receive(m)
	switch {
	case err == nil:
		s.prove()
		if !s.desc.ServerStreams { // the only answer: the call is over
			s.over(nil)
		}
		return nil
	case errors.Is(err, io.EOF):
		s.over(nil)
		return err
	}
	s.over(err)
	return FromError(err)
}

// receive receives from the leg, or from the better of two.
func (s *stream) receive(m any) error {
	if answer, ok := m.(proto.Message); ok && s.hedgeable() && s.replayable() {
		return s.hedged(answer)
	}
	return s.leg.receive(m)
}

// prove tells the breaker with the first message that the instance works: a
// breaker that tries again can't wait for the end of a long stream.
func (s *stream) prove() {
	if s.received {
		return
	}
	s.received = true
	s.request = nil
	a, now := s.leg.current, s.client.now()
	a.in.heard(nil, now)
	a.proved.Do(func() { a.in.recordStream(s.method.target, a.breaker, succeeded, nil, a.started, now) })
}

// Header returns the header, waiting for it. As with grpc-go there is none if
// the stream ended without; RecvMsg says why.
func (s *stream) Header() (metadata.MD, error) {
	md, err := s.leg.header()
	if err != nil && !s.replayable() {
		s.over(err)
	}
	if err != nil {
		return md, FromError(err)
	}
	return md, nil
}

// Trailer returns what came with the end.
func (s *stream) Trailer() metadata.MD { return s.leg.Trailer() }

// CloseSend says that no more will be sent.
func (s *stream) CloseSend() error { return s.leg.CloseSend() }

// Context is that of the stream.
func (s *stream) Context() context.Context { return s.leg.Context() }

// over measures the stream, once, and lets go of its contexts.
func (s *stream) over(err error) {
	s.finished.Do(func() {
		code := codes.OK
		if err != nil {
			code = status.Code(err)
		}
		s.method.metrics.observe(code, time.Duration(s.client.now()-s.started))
		s.mu.Lock()
		defer s.mu.Unlock()
		if l := s.leg; l == nil { // it was not even tried
			endSpan(s.span, s.method, nil, 0, code, err)
		} else {
			endSpan(s.span, s.method, l.tried, l.attempts, code, err)
			l.keep()
			l.cancel()
		}
		s.cancel()
	})
}
