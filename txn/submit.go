package txn

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/telemetry"
)

// Submit hands the saga to the coordinator, which keeps it before it answers:
// from then on it is carried through, or undone, whatever dies. The app is
// *warren.App, or whatever calls by contract.
//
// After an error that does not tell what is wrong with the saga, nobody may know
// whether it was kept; submitting it again, with the same [ID], is safe.
func (s *Saga) Submit(ctx context.Context, app grpc.ClientConnInterface) error {
	if err := s.Check(); err != nil {
		return err
	}
	telemetry.SpanFromContext(ctx).Tag("warren.txn.gid", s.ID())
	_, err := txnv1.NewCoordinatorServiceClient(app).Submit(ctx, &txnv1.SubmitRequest{Saga: s.message()})
	if err != nil {
		return fmt.Errorf("submit saga %s: %w", s.ID(), err)
	}
	return nil
}

// Run submits the saga and waits until it has ended. The error is a [*Failure]
// when the saga did not take place and everything is undone; [ErrParked] and
// [ErrUnfinished] when it has no end yet, because somebody has to look at it, or
// because the context ended before.
func (s *Saga) Run(ctx context.Context, app grpc.ClientConnInterface) (*Result, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	telemetry.SpanFromContext(ctx).Tag("warren.txn.gid", s.ID())
	coordinator := txnv1.NewCoordinatorServiceClient(app)
	t, err := coordinator.Submit(ctx, &txnv1.SubmitRequest{Saga: s.message(), Wait: true})
	if err != nil {
		return nil, fmt.Errorf("submit saga %s: %w", s.ID(), err)
	}
	return await(ctx, coordinator, t)
}

// message is the saga as it travels.
func (s *Saga) message() *txnv1.Saga {
	out := &txnv1.Saga{Gid: s.ID(), Name: s.name, Locks: lockMessages(s.opts.locks)}
	if s.opts.deadline > 0 {
		out.Timeout = durationpb.New(s.opts.deadline)
	}
	before := s.ancestors()
	var pivot *Step
	for _, step := range s.steps {
		if step.pivot {
			pivot = step
		}
	}
	for _, step := range s.steps {
		m := step.message()
		m.Retryable = pivot != nil && before[step][pivot]
		out.Steps = append(out.Steps, m)
	}
	return out
}

func (s *Step) message() *txnv1.Step {
	m := &txnv1.Step{
		Name: s.name, Method: s.method.FullName, Request: s.request, Pivot: s.pivot,
		Policy:   s.policy(),
		Bindings: bindingMessages(s.bindings), CompensateBindings: bindingMessages(s.undoFields),
		Locks: lockMessages(s.locks),
	}
	if !s.nothing {
		m.Compensate = nameOf(s.partner.compensate)
	}
	for _, before := range s.predecessors() {
		m.After = append(m.After, before.name)
	}
	return m
}

func (s *Step) policy() *txnv1.CallPolicy {
	p := &txnv1.CallPolicy{Attempts: int32(s.attempts)}
	if s.pause > 0 {
		p.Backoff, p.MaxBackoff = durationpb.New(s.pause), durationpb.New(s.pauseMax)
	}
	if s.timeout > 0 {
		p.Timeout = durationpb.New(s.timeout)
	} else if s.method.Timeout > 0 {
		p.Timeout = durationpb.New(s.method.Timeout)
	}
	return p
}

func bindingMessages(all []binding) (out []*txnv1.Binding) {
	for _, b := range all {
		out = append(out, &txnv1.Binding{Step: b.from.name, From: b.of, To: b.to})
	}
	return out
}

func lockMessages(all []lock) (out []*txnv1.Lock) {
	for _, l := range all {
		m := &txnv1.Lock{Key: l.key, Policy: txnv1.Lock_POLICY_QUEUE}
		switch {
		case l.wait == 0:
			m.Policy = txnv1.Lock_POLICY_FAIL_FAST
		case l.wait > 0:
			m.Policy, m.Timeout = txnv1.Lock_POLICY_WAIT, durationpb.New(l.wait)
		}
		out = append(out, m)
	}
	return out
}
