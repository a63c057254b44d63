package rpc

import (
	"context"
	"math/rand/v2"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// maxFailovers bounds how many instances a call tries that turn out to be
// gone. Nobody saw it, so it may go on, for every method.
const maxFailovers = 8

// again decides whether the call is tried once more after err, and waits until
// it is time.
func (k *clientCall) again(ctx context.Context, err error) bool {
	t, metrics := k.method.target, k.method.metrics
	code := status.Code(err)
	if ctx.Err() != nil {
		return false
	}
	refusal := refusalOf(err)
	if !k.sent() || refusal == refusedDraining {
		k.failovers++
		if code != codes.Unavailable || k.failovers > maxFailovers {
			return false
		}
		metrics.retried(retryFailover)
		return true
	}
	if k.repeated || k.attempts >= k.policy.attempts || refusal == refusedElsewhere {
		return false // one layer retries: this one only what it called itself
	}
	if !k.method.idempotent() && !notBegun(err) {
		return false
	}
	delay, ok := retryDelay(k.policy, k.attempts, code, err, k.trailer)
	if !ok {
		return false
	}
	if at, has := ctx.Deadline(); has && time.Until(at) <= delay {
		return false // it could not be answered in time
	}
	if !k.paid && !t.budget.take() {
		metrics.retried(retryRefused)
		return false
	}
	metrics.retried(retryRepeat)
	return sleep(ctx, delay)
}

// retryDelay returns how long to wait before the next attempt, and whether to
// make one: after the server could not be reached, or said when to come back.
func retryDelay(p *policy, attempts int, code codes.Code, err error, trailer metadata.MD) (time.Duration, bool) {
	if code != codes.Unavailable && code != codes.ResourceExhausted {
		return 0, false
	}
	if pushback := trailer.Get(metadataPushback); len(pushback) > 0 {
		ms, err := strconv.Atoi(pushback[0])
		return time.Duration(ms) * time.Millisecond, err == nil && ms >= 0
	}
	if after := FromError(err).RetryAfter; after > 0 {
		return after, true
	}
	return backoffOf(p, attempts), code == codes.Unavailable
}

// backoffOf draws a wait between zero and a bound that doubles: calls that
// failed together must not come back together.
func backoffOf(p *policy, attempts int) time.Duration {
	most := min(p.backoff<<min(attempts-1, 20), p.most)
	if most <= 0 {
		return 0
	}
	return rand.N(most)
}

// sleep waits and reports whether ctx lives on.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (t *target) throttled() error {
	return &Error{Code: codes.Unavailable, Reason: "THROTTLED", Domain: domain, RetryAfter: time.Second,
		Message: t.name + " is overloaded and is given time to recover"}
}
