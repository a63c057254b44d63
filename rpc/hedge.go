package rpc

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"
)

// hedged sends the call to a second instance when the first is slow to answer,
// and takes the answer that comes first. Only for methods without side effects.
func (k *clientCall) hedged(ctx context.Context, args, reply any, opts []grpc.CallOption) error {
	answer, ok := reply.(proto.Message)
	if !ok { // there is no way to make a second one
		return k.invoke(ctx, args, reply, opts)
	}
	if err := k.admit(); err != nil {
		return err
	}
	ctx, k.repeated = k.client.outgoing(ctx)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &race{ctx: ctx, args: args, answer: answer, opts: opts, results: make(chan raceResult, 2)}
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
			won.keep()
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
	opts    []grpc.CallOption
	results chan raceResult
	running int
}

type raceResult struct {
	call   *clientCall
	answer proto.Message
	keep   func() // what the call's options ask for
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
	opts, keep := ownOptions(r.opts)
	r.running++
	go func() {
		err := fork.try(r.ctx, r.args, answer, opts)
		r.results <- raceResult{fork, answer, keep, err}
	}()
	return fork
}

// ownOptions gives one of two racing calls its own places for what it
// receives beside the answer; keep copies them to those of the caller.
func ownOptions(opts []grpc.CallOption) (own []grpc.CallOption, keep func()) {
	var copies []func()
	for _, opt := range opts {
		switch o := opt.(type) {
		case grpc.HeaderCallOption:
			md := new(metadata.MD)
			copies = append(copies, func() { *o.HeaderAddr = *md })
			opt = grpc.Header(md)
		case grpc.TrailerCallOption:
			md := new(metadata.MD)
			copies = append(copies, func() { *o.TrailerAddr = *md })
			opt = grpc.Trailer(md)
		case grpc.PeerCallOption:
			at := new(peer.Peer)
			copies = append(copies, func() { *o.PeerAddr = *at })
			opt = grpc.Peer(at)
		}
		own = append(own, opt)
	}
	return own, func() {
		for _, c := range copies {
			c()
		}
	}
}
