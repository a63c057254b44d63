package rpc

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// domain is where the reasons of Warren's own errors are unique.
const domain = "warren"

// outcome is what an attempt says about the instance that it went to.
type outcome int

const (
	succeeded outcome = iota // the instance did its work, if only to refuse the request
	failed                   // the instance is at fault
	shed                     // the instance is overloaded and says so
	neutral                  // the attempt says nothing: cancelled, or never sent
)

// meaningful is the shortest time after which a deadline that passed says
// something about the instance, not only about an impatient caller.
const meaningful = 10 * time.Millisecond

// judge tells an instance's fault from a caller's. Mistakes of clients must
// never open a breaker, or one client could take an instance from all others.
func judge(ctx context.Context, err error, sent bool, elapsed time.Duration) outcome {
	if err == nil {
		return succeeded
	}
	if !sent || errors.Is(ctx.Err(), context.Canceled) {
		return neutral
	}
	if overloaded(err) {
		return shed
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.Internal, codes.Unknown, codes.DataLoss:
		return failed
	case codes.DeadlineExceeded:
		if elapsed < meaningful {
			return neutral
		}
		return failed
	case codes.Canceled:
		return neutral
	}
	return succeeded
}

// overloaded reports whether the server refused a call because it has too much
// to do. A connection that broke is unavailable as well, but says nothing
// about when to come back.
func overloaded(err error) bool {
	switch status.Code(err) {
	case codes.ResourceExhausted:
		return true
	case codes.Unavailable:
		return FromError(err).RetryAfter > 0
	}
	return false
}

// record lets everything learn from an attempt that is over.
func (in *instance) record(t *target, b *breaker, o outcome, latency time.Duration, now int64) {
	b.record(o)
	switch o {
	case succeeded:
		in.stats.node.Observe(latency, now)
		in.stats.outlier.succeeded(now, t.policy.Load().outlier)
	case failed, shed:
		// A failure is often fast; it must not look like speed.
		in.stats.node.Observe(min(max(latency, 2*in.stats.node.Latency(now), 10*time.Millisecond), 5*time.Second), now)
		if o == shed {
			t.throttle.refused(t.policy.Load(), now)
		}
		if o == failed && in.stats.outlier.failed(now, t.policy.Load().outlier) {
			in.pool.eject(in, t.policy.Load().outlier, now)
		}
	}
}
