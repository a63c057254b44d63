package rpc

import (
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

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
	if err := s.open(); err != nil {
		s.over(err)
		return nil, FromError(err)
	}
	return s, nil
}

// stream is a stream on its way through attempts. A second attempt is possible
// only while nothing was received, and only of streams with one request,
// which can be sent again.
type stream struct {
	grpc.ClientStream // of the current attempt

	client   *Client
	method   *method
	policy   *policy
	desc     *grpc.StreamDesc
	opts     []grpc.CallOption
	ctx      context.Context
	cancel   context.CancelFunc
	span     *telemetry.Span
	started  int64
	repeated bool

	mu        sync.Mutex // for attempts and tried: gRPC may end a stream beside its user
	attempts  int
	failovers int
	tried     []*instance
	current   *streamAttempt
	request   any // to be sent again
	received  bool
	finished  sync.Once
}

// streamAttempt is a stream on one instance. gRPC says exactly once when it is
// over, also when its reader went away.
type streamAttempt struct {
	in      *instance
	breaker *breaker
	peer    peer.Peer
	trailer metadata.MD
	started int64
	proved  sync.Once // of the breaker's verdict
	ended   sync.Once
}

// open starts attempts until one stands.
func (s *stream) open() error {
	var last error
	for {
		in, b, err := s.method.target.acquire(s.ctx, s.method, s.policy, s.tried)
		if err != nil {
			if last != nil {
				return last
			}
			return err
		}
		last = s.attempt(in, b)
		if last == nil || !s.again(last) {
			return last
		}
	}
}

// attempt starts the stream on one instance.
func (s *stream) attempt(in *instance, b *breaker) error {
	ctx := s.ctx
	if s.attempts > 0 && !s.repeated {
		ctx = metadata.AppendToOutgoingContext(ctx, MetadataAttempt, strconv.Itoa(s.attempts+1))
	}
	a := &streamAttempt{in: in, breaker: b, started: s.client.now()}
	s.current = a
	s.mu.Lock()
	s.tried = append(s.tried, in)
	s.mu.Unlock()
	in.stats.node.Begin()
	opts := append(s.opts[:len(s.opts):len(s.opts)], grpc.Peer(&a.peer), grpc.Trailer(&a.trailer),
		grpc.OnFinish(func(err error) { s.attemptOver(ctx, a, err) }))
	grpcStream, err := in.conn.NewStream(ctx, s.desc, s.method.fullName, opts...)
	if err != nil {
		return err
	}
	s.ClientStream = grpcStream
	s.mu.Lock()
	s.attempts++
	s.mu.Unlock()
	return nil
}

// attemptOver is called by gRPC when an attempt has ended, for whatever
// reason. A stream whose reader cancelled ends here without a word to it.
func (s *stream) attemptOver(ctx context.Context, a *streamAttempt, err error) {
	a.ended.Do(func() {
		now := s.client.now()
		a.in.stats.node.End()
		o := judge(ctx, err, true, time.Duration(now-a.started))
		if a.peer.Addr == nil && err != nil {
			o = neutral
		}
		a.proved.Do(func() { a.in.recordStream(s.method.target, a.breaker, o, err, a.started, now) })
		a.in.release()
		if ctx.Err() != nil || s.client.pool.ctx.Err() != nil {
			s.over(err)
		}
	})
}

// recordStream lets breaker and ejection learn from a stream. Its length says
// nothing about the instance's speed.
func (in *instance) recordStream(t *target, b *breaker, o outcome, err error, began, now int64) {
	b.record(o)
	switch o {
	case succeeded:
		in.stats.outlier.succeeded(now, t.policy.Load().outlier)
	case shed:
		t.throttle.refused(t.policy.Load(), now)
	case failed:
		if in.stats.outlier.failed(err, began, now, t.policy.Load().outlier) {
			in.pool.eject(in, t.policy.Load().outlier, now)
		}
	}
}

// again decides whether the stream is started once more, and waits until it is
// time.
func (s *stream) again(err error) bool {
	k := &clientCall{client: s.client, method: s.method, policy: s.policy, repeated: s.repeated,
		attempts: s.attempts, failovers: s.failovers, peer: s.current.peer, trailer: s.current.trailer}
	ok := k.again(s.ctx, err)
	s.failovers = k.failovers
	return ok
}

// SendMsg sends a message.
func (s *stream) SendMsg(m any) error {
	if !s.desc.ClientStreams {
		s.request = m
	}
	err := s.ClientStream.SendMsg(m)
	if err == nil || errors.Is(err, io.EOF) { // the reason comes from RecvMsg
		return err
	}
	s.over(err)
	return FromError(err)
}

// RecvMsg receives a message. io.EOF is the stream's good end.
func (s *stream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	for err != nil && !errors.Is(err, io.EOF) && s.replayable() && s.again(err) {
		if err = s.replay(); err == nil {
			err = s.ClientStream.RecvMsg(m)
		}
	}
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

// replayable reports whether all that was sent can be sent again, and nothing
// that came back would be lost.
func (s *stream) replayable() bool {
	return !s.received && s.request != nil && s.desc.ServerStreams && !s.desc.ClientStreams
}

// replay starts the stream anew with the request that was sent.
func (s *stream) replay() error {
	if err := s.open(); err != nil {
		return err
	}
	if err := s.ClientStream.SendMsg(s.request); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return s.CloseSend()
}

// prove tells the breaker with the first message that the instance works: a
// breaker that tries again can't wait for the end of a long stream.
func (s *stream) prove() {
	if s.received {
		return
	}
	s.received = true
	s.request = nil
	a := s.current
	a.proved.Do(func() { a.in.recordStream(s.method.target, a.breaker, succeeded, nil, a.started, s.client.now()) })
}

// Header returns the header, waiting for it.
func (s *stream) Header() (metadata.MD, error) {
	md, err := s.ClientStream.Header()
	if err != nil && !s.replayable() {
		s.over(err)
	}
	if err != nil {
		return md, FromError(err)
	}
	return md, nil
}

// over measures the stream, once, and lets go of its context.
func (s *stream) over(err error) {
	s.finished.Do(func() {
		code := codes.OK
		if err != nil {
			code = status.Code(err)
		}
		s.method.metrics.observe(code, time.Duration(s.client.now()-s.started))
		s.mu.Lock()
		endSpan(s.span, s.tried, s.attempts, code, err)
		s.mu.Unlock()
		s.cancel()
	})
}
