package rpc

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// hedged sends the call to a second instance when the first is slow to answer,
// and takes the answer that comes first. Only for methods without side effects.
func (k *clientCall) hedged(ctx context.Context, args, reply any, opts []grpc.CallOption) error {
	answer, ok := reply.(proto.Message)
	if !ok || len(opts) > 0 { // options have one place for the headers of one answer
		return k.invoke(ctx, args, reply, opts)
	}
	if err := k.admit(); err != nil {
		return err
	}
	ctx, k.repeated = k.client.outgoing(ctx)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &race{ctx: ctx, args: args, answer: answer, results: make(chan raceResult, 2)}
	first := r.start(k, nil)
	timer := time.NewTimer(k.policy.hedge)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			if !k.method.target.budget.take() {
				k.method.metrics.retried(retryRefused)
				continue
			}
			k.method.metrics.retried(retryHedge)
			r.start(k, first.current.Load())
		case won := <-r.results:
			if r.running--; won.err != nil && r.running > 0 {
				continue // the other may do better
			}
			if won.err == nil {
				proto.Reset(answer)
				proto.Merge(answer, won.answer)
			}
			cancel()
			// The caller may reuse its request once we return.
			for ; r.running > 0; r.running-- {
				<-r.results
			}
			k.attempts, k.tried = won.call.attempts, append(k.tried, won.call.tried...)
			return won.err
		}
	}
}

// race is one call made twice at once.
type race struct {
	ctx     context.Context
	args    any
	answer  proto.Message
	results chan raceResult
	running int
}

type raceResult struct {
	call   *clientCall
	answer proto.Message
	err    error
}

// start begins to make the call. The second of the two avoids the instance of
// the first and isn't retried.
func (r *race) start(k *clientCall, avoid *instance) *clientCall {
	fork := &clientCall{client: k.client, method: k.method, policy: k.policy, repeated: k.repeated}
	if avoid != nil {
		fork.repeated = true
		fork.tried = append(fork.tried, avoid)
	}
	answer := r.answer.ProtoReflect().New().Interface()
	r.running++
	go func() {
		err := fork.try(r.ctx, r.args, answer, nil)
		r.results <- raceResult{fork, answer, err}
	}()
	return fork
}
