package txntest

import (
	"context"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/txn/barrier"
)

// call is one call of a branch by the coordinator.
type call struct {
	step   string
	op     txnv1.Op
	number int // of all calls, from 1
	nth    int // of those that ask the step for the same
}

// plan is what goes wrong in a world. Nil is nothing.
type plan struct {
	before   func(call) error // instead of the call
	refuse   func(call) error // instead of the handler
	after    func(call) error // instead of its answer
	twice    func(call) bool  // the call is made a second time, at once
	rollback func(call) bool  // the handler's work is undone by its database
	point    func(name string, nth int) bool
}

// faults carries a plan out, and keeps what was seen.
type faults struct {
	mu      sync.Mutex
	plan    plan
	calls   []call
	handled map[string]int // runs of handlers, by step and operation
	points  map[string]int // passes of the coordinator's points of interest, by name
	met     int            // how often something went wrong as planned
	late    []func(context.Context) error
	saga    *txnv1.Saga // as it was submitted
	problem error       // of the test kit itself
}

func newFaults() *faults { return &faults{handled: map[string]int{}, points: map[string]int{}} }

// The outcomes of calls that go wrong.
var (
	// errLost leaves open what happened.
	errLost = status.Error(codes.Unavailable, "lost by the test")
	// errRefused is definite.
	errRefused = status.Error(codes.FailedPrecondition, "made to fail by the test")
)

// seen counts a call that comes.
func (f *faults) seen(b *txnv1.Branch) call {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := call{step: b.GetBranch(), op: b.GetOp(), number: len(f.calls) + 1, nth: 1}
	for _, earlier := range f.calls {
		if earlier.step == c.step && earlier.op == c.op {
			c.nth++
		}
	}
	f.calls = append(f.calls, c)
	return c
}

// happened notes that something went wrong as planned.
func (f *faults) happened() {
	f.mu.Lock()
	f.met++
	f.mu.Unlock()
}

// arrange changes the plan, while the coordinator works.
func (f *faults) arrange(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// planned is what is to go wrong.
func (f *faults) planned() plan {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.plan
}

// outcome returns how often something went wrong as planned, and whether the
// test kit itself works.
func (f *faults) outcome() (met int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.met, f.problem
}

// broken notes that the test kit itself does not work.
func (f *faults) broken(err error) {
	f.mu.Lock()
	f.problem = err
	f.mu.Unlock()
}

func (f *faults) strike(hit func(call) error, c call) error {
	if hit == nil {
		return nil
	}
	err := hit(c)
	if err != nil {
		f.happened()
	}
	return err
}

// deliver makes a call as planned. Invoke is the call itself.
func (f *faults) deliver(ctx context.Context, b *txnv1.Branch, opts []grpc.CallOption, invoke func(context.Context) error) error {
	c, p := f.seen(b), f.planned()
	err := f.strike(p.before, c)
	if err != nil {
		f.keep(ctx, invoke)
	} else {
		err = invoke(ctx)
		if p.twice != nil && p.twice(c) {
			f.happened()
			err = invoke(ctx)
		}
		if lost := f.strike(p.after, c); lost != nil {
			clearTrailer(opts) // with the answer goes what came behind it
			err = lost
		}
	}
	return err
}

// keep has a lost call come at the end of the trial after all.
func (f *faults) keep(ctx context.Context, invoke func(context.Context) error) {
	md, _ := metadata.FromOutgoingContext(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.late = append(f.late, func(ctx context.Context) error { return invoke(metadata.NewOutgoingContext(ctx, md)) })
}

// deliverLate makes the calls that did not arrive. What they are answered does
// not matter to anybody any more; that they are answered does.
func (f *faults) deliverLate(ctx context.Context) error {
	f.mu.Lock()
	late := f.late
	f.late = nil
	f.mu.Unlock()
	for _, call := range late {
		if code := status.Code(call(ctx)); code == codes.Unavailable || code == codes.DeadlineExceeded {
			return status.Error(code, "a call that comes late does not arrive at all")
		}
	}
	return nil
}

// note keeps the saga that is submitted.
func (f *faults) note(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if submit, ok := req.(*txnv1.SubmitRequest); ok {
		f.mu.Lock()
		f.saga = submit.GetSaga()
		f.mu.Unlock()
	}
	return handler(ctx, req)
}

// refuse is an interceptor behind the barrier, where there is one: it has a step
// refused as its handler would, so that the barrier can note it. Without a barrier
// it says itself that this is definite.
func (f *faults) refuse(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	b, ok := branchIn(md)
	if !ok {
		return handler(ctx, req)
	}
	err := f.strike(f.planned().refuse, call{step: b.GetBranch(), op: b.GetOp()})
	if err == nil {
		return handler(ctx, req)
	}
	if _, behind := barrier.From(ctx); !behind {
		raw, problem := proto.Marshal(&txnv1.Outcome{Kind: txnv1.Outcome_KIND_FAILURE, Reason: status.Convert(err).Message()})
		if problem == nil {
			problem = grpc.SetTrailer(ctx, metadata.Pairs(barrier.MetadataOutcome, string(raw)))
		}
		if problem != nil {
			f.broken(problem)
		}
	}
	return nil, err
}

// rollback is an interceptor behind the barrier: it undoes what a handler did
// once it has done it, as a database does that loses its connection.
func (f *faults) rollback(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	reply, err := handler(ctx, req)
	b, ok := barrier.From(ctx)
	p := f.planned()
	if !ok || err != nil || p.rollback == nil {
		return reply, err
	}
	f.mu.Lock()
	key := b.Op.String() + " " + b.Name
	f.handled[key]++
	c := call{step: b.Name, op: b.Op, nth: f.handled[key]}
	f.mu.Unlock()
	if p.rollback(c) {
		f.happened()
		return nil, errLost
	}
	return reply, nil
}

// pass counts that the coordinator passes a point, and tells whether it is to
// end there.
func (f *faults) pass(point string) bool {
	f.mu.Lock()
	f.points[point]++
	nth, p := f.points[point], f.plan
	f.mu.Unlock()
	if p.point == nil || !p.point(point, nth) {
		return false
	}
	f.happened()
	return true
}

// branchOf reads from a call that is about to be made which branch it is.
func branchOf(ctx context.Context) (*txnv1.Branch, bool) {
	md, _ := metadata.FromOutgoingContext(ctx)
	return branchIn(md)
}

func branchIn(md metadata.MD) (*txnv1.Branch, bool) {
	raw := md.Get(barrier.MetadataBranch)
	b := &txnv1.Branch{}
	if len(raw) != 1 || proto.Unmarshal([]byte(raw[0]), b) != nil {
		return nil, false
	}
	return b, true
}

func clearTrailer(opts []grpc.CallOption) {
	eachTrailer(opts, func(at *metadata.MD) { *at = nil })
}

func eachTrailer(opts []grpc.CallOption, f func(*metadata.MD)) {
	for _, o := range opts {
		if t, ok := o.(grpc.TrailerCallOption); ok {
			f(t.TrailerAddr)
		}
	}
}
