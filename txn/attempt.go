package txn

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/txn/barrier"
)

// Attempt is a TCC or a two-phase commit that is being tried. It is a
// grpc.ClientConnInterface: a generated client that is made with it makes each
// of its calls a step of the transaction. It may be used concurrently.
type Attempt struct {
	*trying
	step string
}

// trying is what the Attempts of one transaction share.
type trying struct {
	app         grpc.ClientConnInterface
	coordinator txnv1.CoordinatorServiceClient
	pattern     txnv1.Pattern
	serviceOf   func(contract string) (string, error) // of a two-phase commit
	id          string

	mu     sync.Mutex
	begun  map[string]bool
	failed error  // the first step's that went wrong
	where  string // that step
	closed bool
	calls  sync.WaitGroup // steps that were admitted and have not ended
}

// TCC tries all that the function calls through the [Attempt], and confirms it
// when the function returns nil; when it returns an error, panics, or one of its
// calls went wrong, whatever it makes of that, everything that was tried, or may
// have been, is cancelled. The methods that are called name in their contracts
// what confirms and cancels them; those without side effects are just called.
//
// It returns nil when all is confirmed, and a [*Failure], which wraps the
// function's error, when it is not to be. With [ErrUnfinished] and [ErrParked]
// it is decided that it takes place, and goes on; or nobody knows, and [Wait]
// tells. When the initiator dies before the decision the coordinator cancels
// everything once the time of [Deadline] is over.
func TCC(ctx context.Context, app grpc.ClientConnInterface, name string, try func(context.Context, *Attempt) error, opts ...Option) error {
	t := &trying{app: app, pattern: txnv1.Pattern_PATTERN_TCC}
	return t.run(ctx, name, try, readOptions(opts))
}

// TwoPhase is as [TCC], with what the databases of the services prepare in place
// of what methods confirm and cancel: any method can be called. Both the
// services that are called and their databases have to allow it; rows stay
// locked until all is decided.
func TwoPhase(ctx context.Context, app interface {
	grpc.ClientConnInterface
	ServiceOf(contract string) (string, error)
}, name string, try func(context.Context, *Attempt) error, opts ...Option) error {
	t := &trying{app: app, pattern: txnv1.Pattern_PATTERN_TWO_PHASE, serviceOf: app.ServiceOf}
	return t.run(ctx, name, try, readOptions(opts))
}

func (t *trying) run(ctx context.Context, name string, try func(context.Context, *Attempt) error, o options) error {
	if err := checkTransaction(name, o); err != nil {
		return fmt.Errorf("transaction %s: %w", name, err)
	}
	t.coordinator = txnv1.NewCoordinatorServiceClient(t.app)
	t.id, t.begun = globalID(name, o.id), map[string]bool{}
	done, err := t.open(ctx, name, o)
	if done || err != nil {
		return err
	}
	returned := false
	defer func() {
		if !returned { // it panicked
			_, _ = t.abort(ctx, errors.New("the initiator panicked"))
		}
	}()
	err = try(ctx, &Attempt{trying: t})
	returned = true
	if err := t.close(ctx, err); err != nil {
		return t.giveUp(ctx, err)
	}
	return t.commit(ctx)
}

// open announces the transaction. It is done already where the same one was
// decided before.
func (t *trying) open(ctx context.Context, name string, o options) (done bool, err error) {
	open := &txnv1.Open{Gid: t.id, Name: name, Locks: lockMessages(o.locks)}
	req := &txnv1.PrepareRequest{Transaction: &txnv1.PrepareRequest_Tcc{Tcc: open}}
	if t.pattern == txnv1.Pattern_PATTERN_TWO_PHASE {
		req.Transaction = &txnv1.PrepareRequest_TwoPhase{TwoPhase: open}
	}
	if o.deadline > 0 {
		req.Timeout = durationpb.New(o.deadline)
	}
	for {
		begin := time.Now()
		got, err := t.coordinator.Prepare(ctx, req)
		switch {
		case err != nil:
			return false, fmt.Errorf("open transaction %s: %w", t.id, err)
		case got.GetState() == txnv1.State_STATE_PREPARED:
			return false, nil
		case got.GetState() != txnv1.State_STATE_WAITING:
			_, err = await(ctx, t.coordinator, got)
			return true, err
		}
		// It waits for its locks still.
		if !pause(ctx, shortWait-time.Since(begin)) {
			return false, fmt.Errorf("open transaction %s: wait for its locks: %w", t.id, ctx.Err())
		}
	}
}

// Named returns the same attempt, whose next call is the step with the name.
// Where a method is called once, the step has its name: "Reserve".
func (a *Attempt) Named(step string) *Attempt { return &Attempt{trying: a.trying, step: step} }

// ID returns the transaction's id in the whole system.
func (a *Attempt) ID() string { return a.id }

// NewStream refuses: a step takes one message and returns one.
func (a *Attempt) NewStream(_ context.Context, _ *grpc.StreamDesc, method string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, fmt.Errorf("transaction %s: call %s: it streams, so it cannot be a step", a.id, method)
}

// Invoke calls a method as a step of the transaction.
func (a *Attempt) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	m, end, err := findMethod(method)
	if err != nil {
		return a.note(a.step, err)
	}
	if m.Safe {
		return a.app.Invoke(ctx, method, args, reply, opts...) // nothing to decide
	}
	step := a.step
	if step == "" {
		step = m.Name
	}
	request, ok := args.(proto.Message)
	if !ok {
		return a.note(step, fmt.Errorf("%T is no protobuf message", args))
	}
	raw, err := encode(m, request)
	if err == nil {
		err = a.admit(step, m.FullName, end)
	}
	if err != nil {
		return a.note(step, err)
	}
	defer a.calls.Done()
	registration, err := a.registration(step, m, end, raw)
	if err != nil {
		return a.note(step, err)
	}
	registered, err := a.coordinator.Register(ctx, registration)
	if err != nil {
		return a.note(step, fmt.Errorf("register: %w", err))
	}
	ctx, err = barrier.Outgoing(ctx, registered.GetBranch())
	if err != nil {
		return a.note(step, err)
	}
	return a.note(step, a.app.Invoke(ctx, method, args, reply, opts...))
}

// registration says how a step is ended.
func (a *Attempt) registration(step string, m *contract.Method, end partners, request []byte) (_ *txnv1.RegisterRequest, err error) {
	r := &txnv1.RegisterRequest{Gid: a.id, Branch: step, Method: m.FullName, Request: request}
	if a.pattern == txnv1.Pattern_PATTERN_TCC {
		r.Confirm, r.Cancel = nameOf(end.confirm), nameOf(end.cancel)
		return r, nil
	}
	r.Service, err = a.serviceOf(m.Service)
	return r, err
}

// admit refuses a step that could not be ended, or told from another one.
func (a *Attempt) admit(step, method string, end partners) error {
	if a.pattern == txnv1.Pattern_PATTERN_TCC && (end.confirm == nil || end.cancel == nil) {
		return fmt.Errorf("%s cannot be tried; name its confirm and cancel methods in its contract", method)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return errors.New("the transaction is decided; wait for all calls before the function returns")
	}
	if a.begun[step] {
		return fmt.Errorf("there is a step of that name; give each its own with Named, such as %q", strings.ToLower(step)+"-2")
	}
	a.begun[step] = true
	a.calls.Add(1)
	return nil
}

// note remembers the first step that went wrong: then nothing is confirmed.
func (t *trying) note(step string, err error) error {
	if err == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed == nil {
		t.failed, t.where = err, step
	}
	return err
}

// close returns why the transaction must not take place, or nil. What is to be
// confirmed has to have succeeded, so calls that the function left behind are waited
// for; what is to be cancelled is so whenever it comes.
func (t *trying) close(ctx context.Context, err error) error {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		t.calls.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		return fmt.Errorf("wait for its calls: %w", ctx.Err())
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed
}

// decideWithin bounds telling the coordinator what was decided, also where the
// initiator's own time is over.
const decideWithin = 5 * time.Second

func (t *trying) commit(ctx context.Context) error {
	decide, cancel := context.WithTimeout(context.WithoutCancel(ctx), decideWithin)
	defer cancel()
	got, err := t.coordinator.Commit(decide, &txnv1.CommitRequest{Gid: t.id})
	switch {
	case errors.Is(err, rpc.Reason(txnv1.Reason_TRANSACTION_ABORTED)):
		return &Failure{ID: t.id, Cause: rpc.FromError(err)}
	case err != nil:
		return fmt.Errorf("commit transaction %s: %w: %w", t.id, ErrUnfinished, err)
	}
	_, err = await(ctx, t.coordinator, got)
	return err
}

// giveUp has everything cancelled. Should the coordinator not hear of it, it
// does so by itself after a while.
func (t *trying) giveUp(ctx context.Context, why error) error {
	t.mu.Lock()
	f := &Failure{ID: t.id, Cause: rpc.FromError(why)}
	if t.failed != nil && errors.Is(why, t.failed) {
		f.Step = t.where
	}
	t.mu.Unlock()
	got, err := t.abort(ctx, why)
	if err != nil {
		return fmt.Errorf("cancel transaction %s: %w: %w, after %w", t.id, ErrUnfinished, err, f)
	}
	if _, err := await(ctx, t.coordinator, got); err != nil {
		if _, ended := errors.AsType[*Failure](err); !ended {
			return fmt.Errorf("%w, after %w", err, f)
		}
	}
	return f
}

func (t *trying) abort(ctx context.Context, why error) (*txnv1.Transaction, error) {
	decide, cancel := context.WithTimeout(context.WithoutCancel(ctx), decideWithin)
	defer cancel()
	return t.coordinator.Abort(decide, &txnv1.AbortRequest{Gid: t.id, Reason: why.Error()})
}

var _ grpc.ClientConnInterface = (*Attempt)(nil)
