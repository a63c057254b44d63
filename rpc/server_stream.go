package rpc

import (
	"context"
	"time"

	"google.golang.org/grpc"
)

// serverStream is a stream with the caller in its context, whose messages are
// valid.
type serverStream struct {
	grpc.ServerStream
	ctx    context.Context
	method *servedMethod
	opened time.Time // when its first message was sent
}

// SendMsg sends a message, and notes when the first one was.
func (s *serverStream) SendMsg(message any) error {
	if s.opened.IsZero() {
		s.opened = time.Now()
	}
	return s.ServerStream.SendMsg(message)
}

// Context returns the stream's context.
func (s *serverStream) Context() context.Context { return s.ctx }

// RecvMsg receives the next message and validates it.
func (s *serverStream) RecvMsg(message any) error {
	if err := s.ServerStream.RecvMsg(message); err != nil {
		return malformed(err)
	}
	return s.method.rules.check(message)
}

// streamContext tells a stream's handler when the server begins to end. It is
// its own type because a context.WithValue for it would cost twice.
type streamContext struct {
	context.Context
	draining <-chan struct{}
}

type drainingKey struct{}

// Value makes the context findable from those derived from it.
func (c *streamContext) Value(key any) any {
	if _, ok := key.(drainingKey); ok {
		return c
	}
	return c.Context.Value(key)
}

// Draining returns a channel that is closed when the server begins to end, for
// handlers of streams without an end of their own. In the context of anything
// but a stream it is nil.
func Draining(ctx context.Context) <-chan struct{} {
	if c, ok := ctx.Value(drainingKey{}).(*streamContext); ok {
		return c.draining
	}
	return nil
}
