package txntest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
)

// explored is what is known of a saga: how it succeeds, and how it is undone.
type explored struct {
	succeeds *seen
	fails    *seen  // nil: nothing can fail, or nothing would have to be undone
	at       string // the step at which it fails
}

// explore runs the saga undisturbed, and as far as it can still fail.
func explore(t testing.TB, setup Setup) (*explored, error) {
	good, err := trial{}.run(t, setup)
	if err != nil {
		return nil, err
	}
	e := &explored{succeeds: good}
	for _, step := range e.revocable() {
		e.at = step.GetName() // the last one: as much as possible is undone
	}
	if e.at != "" {
		bad, err := refuse(e.at).run(t, setup)
		if err != nil {
			return nil, fmt.Errorf("fails at %s: %w", e.at, err)
		}
		e.fails = bad
	}
	return e, nil
}

// revocable lists the steps that may fail: the pivot, and what is before it.
func (e *explored) revocable() (out []*txnv1.Step) {
	for _, s := range e.succeeds.saga.GetSteps() {
		if !s.GetRetryable() {
			out = append(out, s)
		}
	}
	return out
}

func (e *explored) trials() (out []trial) {
	for _, s := range e.succeeds.saga.GetSteps() {
		out = append(out, e.step(s.GetName())...)
	}
	for _, s := range e.revocable() {
		out = append(out, refuse(s.GetName()), e.undoneTwice(s.GetName()))
		if s.GetCompensate() != "" {
			out = append(out, e.inDoubt(s.GetName()), e.overtaken(s.GetName()))
		}
	}
	return append(out, e.stops()...)
}

// first tells whether it is the first time that the step is asked to do its work.
func first(c call, step string) bool {
	return c.op == txnv1.Op_OP_ACTION && c.step == step && c.nth == 1
}

// step are the trials that every step has to bear, and the saga to succeed.
func (e *explored) step(step string) []trial {
	hit := func(err error) func(call) error {
		return func(c call) error {
			if first(c, step) {
				return err
			}
			return nil
		}
	}
	return []trial{
		{name: "request lost/" + step, want: e.succeeds.state, arrange: func(w *World) { w.faults.plan.before = hit(errLost) }},
		{name: "answer lost/" + step, want: e.succeeds.state, arrange: func(w *World) { w.faults.plan.after = hit(errLost) }},
		{name: "done twice/" + step, want: e.succeeds.state, arrange: func(w *World) {
			w.faults.plan.twice = func(c call) bool { return first(c, step) }
		}},
		// A step that does nothing in its database cannot be rolled back.
		{name: "rolled back at first/" + step, want: e.succeeds.state, free: true, arrange: func(w *World) {
			w.faults.plan.rollback = func(c call) bool { return first(c, step) }
		}},
	}
}

// refuse has a step fail, definitely.
func refuse(step string) trial {
	return trial{name: "fails/" + step, fails: step, arrange: func(w *World) { w.faults.plan.refuse = refused(step) }}
}

func refused(step string) func(call) error {
	return func(c call) error {
		if c.op == txnv1.Op_OP_ACTION && c.step == step {
			return errRefused
		}
		return nil
	}
}

// undoneTwice has a step fail, and everything before it undone twice.
func (e *explored) undoneTwice(step string) trial {
	return trial{name: "undone twice/" + step, fails: step, arrange: func(w *World) {
		w.faults.plan.refuse = refused(step)
		w.faults.plan.twice = func(c call) bool { return c.op == txnv1.Op_OP_COMPENSATE }
		w.faults.plan.rollback = func(c call) bool { return c.op == txnv1.Op_OP_COMPENSATE && c.nth == 1 }
	}}
}

// inDoubt has a step do its work without anybody ever hearing of it.
func (e *explored) inDoubt(step string) trial {
	return trial{name: "never answers/" + step, fails: step, arrange: func(w *World) {
		w.faults.plan.after = func(c call) error {
			if c.op == txnv1.Op_OP_ACTION && c.step == step {
				return errLost
			}
			return nil
		}
	}}
}

// overtaken has a step's request arrive when the saga has been undone already.
func (e *explored) overtaken(step string) trial {
	return trial{
		name: "undone before it arrives/" + step, fails: step,
		arrange: func(w *World) {
			w.faults.plan.before = func(c call) error {
				if c.op == txnv1.Op_OP_ACTION && c.step == step {
					return errLost
				}
				return nil
			}
		},
		finish: func(ctx context.Context, w *World) error { return w.faults.deliverLate(ctx) },
	}
}

// stops kill the coordinator before and after each call, and wherever it has a
// point of interest, on the way forward and on the way back.
func (e *explored) stops() (out []trial) {
	out = append(out, kills("killed", e.succeeds, trial{want: e.succeeds.state})...)
	if e.fails != nil {
		out = append(out, kills("killed while it is undone", e.fails, refuse(e.at))...)
	}
	return out
}

func kills(name string, s *seen, base trial) (out []trial) {
	add := func(where string, arrange func(*World)) {
		one := base
		one.name, one.free = name+"/"+where, true // what runs at once may come in another order
		one.arrange = func(w *World) {
			if base.arrange != nil {
				base.arrange(w)
			}
			arrange(w)
		}
		out = append(out, one)
	}
	for _, c := range s.calls {
		what := strings.ToLower(strings.TrimPrefix(c.op.String(), "OP_")) + " " + c.step
		add("before "+what, func(w *World) {
			refuses := w.faults.plan.before
			w.faults.plan.before = func(now call) error {
				if now.number == c.number {
					w.process().die()
					return errLost
				}
				return either(refuses, now)
			}
		})
		add("after "+what, func(w *World) {
			w.faults.plan.after = func(now call) error {
				if now.number == c.number {
					w.process().die()
					return errLost
				}
				return nil
			}
		})
	}
	for _, point := range slices.Sorted(maps.Keys(s.points)) {
		if strings.HasPrefix(point, "before ") || strings.HasPrefix(point, "after ") {
			continue // the calls, again
		}
		for n := 1; n <= s.points[point]; n++ {
			add(fmt.Sprintf("at %s %d", point, n), func(w *World) {
				w.faults.plan.point = func(name string, nth int) bool { return name == point && nth == n }
			})
		}
	}
	return out
}

func either(plan func(call) error, c call) error {
	if plan == nil {
		return nil
	}
	return plan(c)
}
