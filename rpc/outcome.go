package rpc

import (
	"context"
	"errors"
	"math"
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

// meaningful is the shortest time after which a deadline that passed can say
// something about the instance, not only about an impatient caller.
const meaningful = 10 * time.Millisecond

// patience is how long an instance must have had for a deadline that passed to count
// against it: a good part of what the contract grants. Callers outside choose shorter
// ones as they like, and must not open breakers for everybody. Where nothing bounds
// the time, deadlines are the caller's alone.
func (p *policy) patience() time.Duration {
	if p.timeout <= 0 {
		return math.MaxInt64
	}
	return max(meaningful, p.timeout/4)
}

// failureLatency is what a fast failure counts as.
const failureLatency = 50 * time.Millisecond

// judge tells an instance's fault from a caller's. Mistakes of clients must
// never open a breaker, or one client could take an instance from all others.
func (p *policy) judge(ctx context.Context, err error, sent bool, elapsed time.Duration) outcome {
	if err == nil {
		return succeeded
	}
	if !sent || errors.Is(ctx.Err(), context.Canceled) {
		return neutral
	}
	switch refusalOf(err) {
	case refusedOverloaded:
		return shed
	case refusedElsewhere, refusedDraining:
		return neutral
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.Internal, codes.Unknown, codes.DataLoss:
		return failed
	case codes.DeadlineExceeded:
		if elapsed < p.patience() {
			return neutral
		}
		return failed
	case codes.Canceled:
		return neutral
	}
	return succeeded
}

// refusal is what a server says of a call that it answered with Unavailable or
// ResourceExhausted, beyond the code.
type refusal int

const (
	refusedSilently   refusal = iota // no more than the code: perhaps the connection broke
	refusedOverloaded                // it has too much to do
	refusedNotBegun                  // it did not begin the call
	refusedDraining                  // it is going away and did not begin the call
	refusedElsewhere                 // something that it needs was unavailable
)

// refusalOf reads the reasons of Warren's servers, and of others what gRPC
// has for all: when to come back.
func refusalOf(err error) refusal {
	code := status.Code(err)
	if code != codes.Unavailable && code != codes.ResourceExhausted {
		return refusedSilently
	}
	e := FromError(err)
	if e.Domain == domain {
		switch e.Reason {
		case "OVERLOADED":
			return refusedOverloaded
		case "DRAINING":
			return refusedDraining
		case "KEYS_UNAVAILABLE":
			return refusedNotBegun
		case "DEPENDENCY_UNAVAILABLE":
			return refusedElsewhere
		}
	}
	// A reason of a service's own is about a quota or the like of this caller;
	// a message too large is exhausted, too. Neither is about the server.
	if e.Reason == "" && e.RetryAfter > 0 {
		return refusedOverloaded
	}
	return refusedSilently
}

// notBegun reports whether the server says that it did not begin the call:
// then it may be sent again whatever its contract says.
func notBegun(err error) bool {
	e := FromError(err)
	return e.Domain == domain && (e.Reason == "OVERLOADED" || e.Reason == "DRAINING" || e.Reason == "KEYS_UNAVAILABLE")
}

// record lets everything learn from an attempt that is over.
func (in *instance) record(t *target, b *breaker, o outcome, err error, latency time.Duration, now int64) {
	b.record(o)
	switch o {
	case succeeded:
		in.stats.node.Observe(latency, now)
		in.stats.outlier.succeeded(now, t.policy.Load().outlier)
	case failed, shed:
		// A failure is often fast; it must not look like speed. Neither may
		// many calls that fail together add up to a ban.
		in.stats.node.Observe(max(latency, in.stats.node.Latency(now), failureLatency), now)
		if o == shed {
			t.throttle.refused(t.policy.Load(), now)
		}
		if o == failed && in.stats.outlier.failed(err, now-int64(latency), now, t.policy.Load().outlier) {
			in.pool.eject(in, t.policy.Load().outlier, now)
		}
	}
}
