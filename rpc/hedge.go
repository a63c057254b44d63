package rpc

import (
	"context"
	"errors"
	"io"
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
	results := make(chan raceResult, 2)
	start := func(avoid *instance) *clientCall {
		fork := k.fork(avoid)
		own, keep := ownOptions(opts)
		reply := answer.ProtoReflect().New().Interface()
		go func() {
			err := fork.try(ctx, args, reply, own)
			results <- raceResult{err, func() {
				if err == nil {
					copyMessage(answer, reply)
				}
				keep()
				cancel()
				k.attempts, k.tried = fork.attempts, append(k.tried, fork.tried...)
			}}
		}()
		return fork
	}
	first := start(nil)
	return k.method.race(k.policy.hedge, results, func() { start(first.current.Load()) })
}

// fork returns one of two calls that race. The second avoids the instance of
// the first and isn't retried.
func (k *clientCall) fork(avoid *instance) *clientCall {
	fork := &clientCall{client: k.client, method: k.method, policy: k.policy, repeated: k.repeated}
	if avoid != nil {
		fork.repeated = true
		fork.tried = append(fork.tried, avoid)
	}
	return fork
}

// hedgeable reports whether the stream may be sent to a second instance.
func (s *stream) hedgeable() bool { return s.policy.hedge > 0 && s.once() && s.method.safe() }

// hedged starts the stream on a second instance when the first is slow to send
// its first message, and goes on with the one that does.
func (s *stream) hedged(answer proto.Message) error {
	first, second := s.leg, s.newLeg()
	results := make(chan raceResult, 2)
	start := func(l, other *leg, receive func(any) error) {
		reply := answer.ProtoReflect().New().Interface()
		go func() {
			err := receive(reply)
			results <- raceResult{err, func() {
				if err == nil {
					copyMessage(answer, reply)
				}
				other.cancel()
				s.mu.Lock()
				s.leg = l
				s.mu.Unlock()
			}}
		}()
	}
	start(first, second, first.receive)
	return s.method.race(s.policy.hedge, results, func() {
		s.mu.Lock()
		second.repeated, second.tried = true, []*instance{first.current.in}
		s.mu.Unlock()
		start(second, first, func(reply any) error {
			if err := second.replay(); err != nil {
				return err
			}
			return second.first(reply)
		})
	})
}

// raceResult is how one of two ends; won is called if it is the better.
type raceResult struct {
	err error
	won func()
}

// race waits for what runs already and, when that is slow and the budget
// allows, for a second, and returns how the better of them ended. Both have
// ended, then, so that the caller may use its request again.
func (m *method) race(delay time.Duration, results <-chan raceResult, second func()) error {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	for running := 1; ; {
		select {
		case <-timer.C:
			if !m.target.budget.take() {
				m.metrics.retried(retryRefused)
				continue
			}
			m.metrics.retried(retryHedge)
			running++
			second()
		case r := <-results:
			if running--; running > 0 && r.err != nil && !errors.Is(r.err, io.EOF) {
				continue // the other may do better
			}
			r.won()
			for ; running > 0; running-- {
				<-results
			}
			return r.err
		}
	}
}

// copyMessage makes the caller's answer that of one of two.
func copyMessage(to, from proto.Message) {
	proto.Reset(to)
	proto.Merge(to, from)
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
