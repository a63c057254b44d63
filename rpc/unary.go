package rpc

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/gowarren/warren/telemetry"
)

// Invoke makes a unary call. Errors are *Error.
func (c *Client) Invoke(ctx context.Context, fullMethod string, args, reply any, opts ...grpc.CallOption) error {
	m, err := c.method(fullMethod)
	if err != nil {
		return err
	}
	start := c.now()
	p := m.policy.Load()
	ctx, cancel := withTimeout(ctx, m.timeout(ctx, p))
	defer cancel()
	ctx, span := c.opts.Tracer.Start(ctx, m.spanName, trace.SpanKindClient)
	k := clientCalls.Get().(*clientCall)
	k.begin(c, m, p, span)
	if p.hedge > 0 && m.safe() {
		err = k.hedged(ctx, args, reply, opts)
	} else {
		err = k.invoke(ctx, args, reply, opts)
	}
	k.finish(start, err)
	if err == nil {
		return nil
	}
	return FromError(err)
}

// timeout is how long a call may take. Of a method that no contract describes
// the default is a guess, and a caller who says more knows better.
func (m *method) timeout(ctx context.Context, p *policy) time.Duration {
	if _, ok := ctx.Deadline(); ok && m.contract.Load() == nil {
		return 0
	}
	return p.timeout
}

// withTimeout is context.WithTimeout, except that it makes no context where
// the caller's own deadline ends earlier.
func withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		return ctx, func() {}
	}
	if at, ok := ctx.Deadline(); ok && time.Until(at) <= d {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, d)
}

// clientCalls keeps the state of unary calls between them.
var clientCalls = sync.Pool{New: func() any { return new(clientCall) }}

// clientCall is one call on its way through attempts.
type clientCall struct {
	client *Client
	method *method
	policy *policy
	span   *telemetry.Span

	repeated  bool // the call serves one that is a repeat: it is not retried
	attempts  int  // that a server may have seen
	failovers int  // that none can have seen
	paid      bool // the budget has paid for the next attempt
	tried     []*instance
	current   atomic.Pointer[instance]

	peer    peer.Peer   // stays empty when an attempt was never sent
	trailer metadata.MD // of the last attempt
	opts    []grpc.CallOption
}

func (k *clientCall) begin(c *Client, m *method, p *policy, span *telemetry.Span) {
	k.client, k.method, k.policy, k.span = c, m, p, span
}

// finish measures the call and gives its state back.
func (k *clientCall) finish(start int64, err error) {
	code := status.Code(err)
	k.method.metrics.observe(code, time.Duration(k.client.now()-start))
	endSpan(k.span, k.method, k.tried, k.attempts, code, err)
	clear(k.tried)
	clear(k.opts)
	*k = clientCall{tried: k.tried[:0], opts: k.opts[:0]}
	clientCalls.Put(k)
}

// admit counts the call towards throttle and budget.
func (k *clientCall) admit() error {
	t, c := k.method.target, k.client
	p, now := t.policy.Load(), c.now()
	t.budget.deposit(p, t.throttle.total.Load(), now)
	if !t.throttle.allow(p, now) {
		c.metrics.throttled.Inc()
		return t.throttled()
	}
	return nil
}

// invoke tries until an attempt succeeds or there is no sense in another.
func (k *clientCall) invoke(ctx context.Context, args, reply any, opts []grpc.CallOption) error {
	if err := k.admit(); err != nil {
		return err
	}
	ctx, k.repeated = k.client.outgoing(ctx)
	return k.try(ctx, args, reply, opts)
}

// try makes attempts.
func (k *clientCall) try(ctx context.Context, args, reply any, opts []grpc.CallOption) error {
	k.opts = append(append(k.opts[:0], opts...), grpc.Peer(&k.peer))
	if !k.repeated && k.policy.attempts > 1 && k.method.idempotent() {
		k.opts = append(k.opts, grpc.Trailer(&k.trailer))
	}
	var last error
	for {
		in, b, err := k.method.target.acquire(ctx, k.method, k.policy, k.tried)
		if err != nil {
			if last != nil { // why the first instance failed says more
				return last
			}
			return err
		}
		last = k.attempt(ctx, in, b, args, reply)
		if last == nil || !k.again(ctx, last) {
			return last
		}
	}
}

// attempt sends the call to one instance.
func (k *clientCall) attempt(ctx context.Context, in *instance, b *breaker, args, reply any) error {
	if err := k.client.cut(k.method, in); err != nil {
		return k.lost(ctx, in, b, err)
	}
	if k.attempts > 0 && !k.repeated {
		ctx = metadata.AppendToOutgoingContext(ctx, MetadataAttempt, strconv.Itoa(k.attempts+1))
	}
	k.peer, k.trailer = peer.Peer{}, nil
	k.current.Store(in)
	c, node := k.client, in.stats.node
	node.Begin()
	start := c.now()
	watcher, watched := k.watch(ctx, in, start)
	err := in.conn.Invoke(watched, k.method.fullName, args, reply, k.opts...)
	now := c.now()
	node.End()
	in.heard(err, now)
	if k.paid = watcher.done() && err != nil; k.paid {
		err = errSilent()
	}
	elapsed := time.Duration(now - start)
	in.record(k.method.target, b, k.policy.judge(ctx, err, k.sent(), elapsed), err, elapsed, now)
	in.release()
	k.tried = append(k.tried, in)
	if err == nil || k.sent() {
		k.attempts++
	}
	return err
}

// sent reports whether the last attempt may have reached a server.
func (k *clientCall) sent() bool { return k.peer.Addr != nil }
