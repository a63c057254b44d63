package rpc

import (
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// leg is a stream on its way through attempts, one after the other. A hedged
// stream has two, until one of them answers.
type leg struct {
	grpc.ClientStream // of the current attempt

	stream   *stream
	ctx      context.Context
	cancel   context.CancelFunc
	opts     []grpc.CallOption
	keep     func() // what the call's options ask for
	repeated bool   // it is not retried

	// Written by the leg alone, under the stream's lock.
	attempts  int
	failovers int
	tried     []*instance
	current   *streamAttempt
}

// streamAttempt is a stream on one instance. gRPC says exactly once when it is
// over, also when its reader went away.
type streamAttempt struct {
	in      *instance
	breaker *breaker
	watcher *watcher // until the first message
	peer    peer.Peer
	trailer metadata.MD
	started int64
	proved  sync.Once // of the breaker's verdict
	ended   sync.Once
}

// newLeg returns a way to the stream. One that may get company has a context
// and places for what it receives of its own.
func (s *stream) newLeg() *leg {
	l := &leg{stream: s, ctx: s.ctx, cancel: func() {}, opts: s.opts, keep: func() {}, repeated: s.repeated}
	if s.hedgeable() {
		l.ctx, l.cancel = context.WithCancel(s.ctx)
		l.opts, l.keep = ownOptions(s.opts)
	}
	return l
}

// open starts attempts until one stands.
func (l *leg) open() error {
	s := l.stream
	var last error
	for {
		in, b, err := s.method.target.acquire(l.ctx, s.method, s.policy, l.tried)
		if err != nil {
			if last != nil {
				return last
			}
			return err
		}
		last = l.attempt(in, b)
		if last == nil || !l.again(last) {
			return last
		}
	}
}

// attempt starts the stream on one instance.
func (l *leg) attempt(in *instance, b *breaker) error {
	s, ctx := l.stream, l.ctx
	if err := s.client.cut(s.method, in); err != nil {
		return l.lost(in, b, err)
	}
	if l.attempts > 0 && !l.repeated {
		ctx = metadata.AppendToOutgoingContext(ctx, MetadataAttempt, strconv.Itoa(l.attempts+1))
	}
	a := &streamAttempt{in: in, breaker: b, started: s.client.now()}
	s.mu.Lock()
	l.current = a
	l.tried = append(l.tried, in)
	s.mu.Unlock()
	in.stats.node.Begin()
	again := s.once() && !l.repeated && s.method.idempotent() && l.attempts+1 < s.policy.attempts
	var watched context.Context
	a.watcher, watched = s.method.watchStream(ctx, s.policy.silence, in, a.started, again)
	opts := append(l.opts[:len(l.opts):len(l.opts)], grpc.Peer(&a.peer), grpc.Trailer(&a.trailer),
		grpc.OnFinish(func(err error) { l.attemptOver(ctx, a, err) }))
	grpcStream, err := in.conn.NewStream(watched, s.desc, s.method.fullName, opts...)
	if err != nil {
		if a.watcher.stop() {
			err = errSilent()
		}
		return err
	}
	l.ClientStream = grpcStream
	s.mu.Lock()
	l.attempts++
	s.mu.Unlock()
	return nil
}

// attemptOver is called by gRPC when an attempt has ended, for whatever
// reason. A stream whose reader cancelled ends here without a word to it.
func (l *leg) attemptOver(ctx context.Context, a *streamAttempt, err error) {
	a.ended.Do(func() {
		s := l.stream
		now := s.client.now()
		a.in.stats.node.End()
		a.in.heard(err, now)
		if a.watcher.done() {
			err = errSilent()
		}
		o := s.policy.judge(ctx, err, true, time.Duration(now-a.started))
		if a.peer.Addr == nil && err != nil {
			o = neutral
		}
		a.proved.Do(func() { a.in.recordStream(s.method.target, a.breaker, o, err, a.started, now) })
		a.in.release()
		if s.ctx.Err() != nil || s.client.pool.ctx.Err() != nil {
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
func (l *leg) again(err error) bool {
	s := l.stream
	k := &clientCall{client: s.client, method: s.method, policy: s.policy, repeated: l.repeated,
		attempts: l.attempts, failovers: l.failovers, paid: l.current.watcher.stop(),
		peer: l.current.peer, trailer: l.current.trailer}
	ok := k.again(l.ctx, err)
	l.failovers = k.failovers
	return ok
}

// receive receives a message, if it must be from a later attempt.
func (l *leg) receive(m any) error {
	if l.stream.received {
		return l.RecvMsg(m)
	}
	err := l.first(m)
	for err != nil && !errors.Is(err, io.EOF) && l.stream.replayable() && l.again(err) {
		if err = l.replay(); err == nil {
			err = l.first(m)
		}
	}
	return err
}

// first receives the attempt's first message. One that comes when the attempt
// has just been given up is lost with it.
func (l *leg) first(m any) error {
	err := l.RecvMsg(m)
	if l.current.watcher.stop() {
		return errSilent()
	}
	return err
}

// header waits for the header. It ends without one when the attempt was given
// up: then the next may have one.
func (l *leg) header() (metadata.MD, error) {
	md, err := l.Header()
	for l.stream.replayable() && l.current.watcher.silent() && l.again(errSilent()) {
		if err := l.replay(); err != nil {
			return nil, err
		}
		md, err = l.Header()
	}
	return md, err
}

// replay starts the stream anew with the request that was sent.
func (l *leg) replay() error {
	if err := l.open(); err != nil {
		return err
	}
	if err := l.SendMsg(l.stream.request); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return l.CloseSend()
}
