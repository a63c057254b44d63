// Package txntest finds out whether a saga is right, before its users do: it
// makes every step fail and looks that it fails there, only there, and leaves
// nothing behind; does every action and every compensation twice; loses and
// delays calls; and kills the coordinator at every call and every write.
//
//	func TestCheckout(t *testing.T) {
//		txntest.Run(t, func(t testing.TB, w *txntest.World) txntest.Case {
//			stock := newStock(t, w.Service("inventory"))
//			purse := newPurse(t, w.Service("payment"))
//			return txntest.Case{
//				Saga:  func() *txn.Saga { return checkout("4711", lines) },
//				State: func(ctx context.Context) (string, error) { return stock.String() + purse.String(), nil },
//			}
//		})
//	}
//
// What takes part is real, and in the process: servers behind their barriers on
// SQLite, and the coordinator of the system. [New] gives the same world to tests
// of one's own.
package txntest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/txn"
)

// Case is a saga to be tested, in a world of its own.
type Case struct {
	// Saga builds the saga, the same each time, and one that succeeds in the
	// world as it is.
	Saga func() *txn.Saga
	// State describes what the participants know that the saga may change, the
	// same for the same: stock and balances, say, and neither times nor random
	// ids. What a failed saga may leave, such as an order that was refused, is
	// not part of it.
	State func(ctx context.Context) (string, error)
}

// Setup fills a world with those who take part, and returns the case.
type Setup func(testing.TB, *World) Case

// Run tests the saga in all ways, each in a new world that setup fills, as a
// subtest that says what went wrong. The first is that the saga succeeds.
func Run(t *testing.T, setup Setup) {
	t.Helper()
	var all []trial
	t.Run("succeeds", func(t *testing.T) {
		found, err := explore(t, setup)
		if err != nil {
			t.Fatal(err)
		}
		all = found.trials()
	})
	for _, one := range all {
		t.Run(one.name, func(t *testing.T) {
			if _, err := one.run(t, setup); err != nil {
				t.Error(err)
			}
		})
	}
}

// patience bounds a trial: one that takes longer hangs.
const patience = 30 * time.Second

// trial is one way for things to go wrong, and how they have to end.
type trial struct {
	name string
	// arrange says what goes wrong.
	arrange func(*World)
	// finish is done when the saga has ended, if there is something left.
	finish func(context.Context, *World) error
	// fails is the step at which the saga has to fail; empty: it succeeds.
	fails string
	// want is what has to be there when it succeeded; empty: anything.
	want string
	// free: it may go wrong less often than planned, even never.
	free bool
}

// seen is what a trial leaves.
type seen struct {
	saga   *txnv1.Saga
	calls  []call
	points map[string]int
	state  string
}

func (tr trial) run(t testing.TB, setup Setup) (*seen, error) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	w, err := newWorld(t.TempDir())
	if err != nil {
		return nil, err
	}
	defer w.close()
	c := setup(t, w)
	if err := w.start(ctx); err != nil {
		return nil, err
	}
	before, err := c.State(ctx)
	if err != nil {
		return nil, fmt.Errorf("state before the saga: %w", err)
	}
	if tr.arrange != nil {
		w.faults.arrange(func() { tr.arrange(w) })
	}
	if err := tr.judge(insist(ctx, w, c.Saga)); err != nil {
		return nil, err
	}
	if tr.finish != nil {
		if err := tr.finish(ctx, w); err != nil {
			return nil, err
		}
	}
	after, err := c.State(ctx)
	if err != nil {
		return nil, fmt.Errorf("state after the saga: %w", err)
	}
	out := w.seen(after)
	return out, tr.compare(w, before, after)
}

// compare looks at what the saga left.
func (tr trial) compare(w *World, before, after string) error {
	met, err := w.faults.outcome()
	switch {
	case err != nil:
		return err
	case tr.arrange != nil && met == 0 && !tr.free:
		return errors.New("the saga ended before what was to go wrong did; nothing is proven")
	case tr.fails != "" && after != before:
		return fmt.Errorf("the saga was undone, and left something behind:\nbefore: %s\nafter:  %s", before, after)
	case tr.fails == "" && tr.want != "" && after != tr.want:
		return fmt.Errorf("the saga succeeded, and did something else than undisturbed:\nundisturbed: %s\nnow:         %s", tr.want, after)
	}
	return nil
}

// judge compares how the saga ended with how it has to end.
func (tr trial) judge(err error) error {
	failure, failed := errors.AsType[*txn.Failure](err)
	switch {
	case err == nil && tr.fails == "":
		return nil
	case err == nil:
		return fmt.Errorf("the saga succeeded, though its step %s was made to fail", tr.fails)
	case failed && tr.fails != "" && failure.Step == tr.fails:
		return nil
	case failed && tr.fails != "":
		return fmt.Errorf("the saga failed at step %q, not at %s that was made to fail: %w", failure.Step, tr.fails, err)
	case errors.Is(err, txn.ErrParked):
		return fmt.Errorf("the saga would wait for an operator: %w; something after the pivot, or something that undoes, fails", err)
	case errors.Is(err, txn.ErrUnfinished):
		return fmt.Errorf("the saga does not end within %s: %w", patience, err)
	}
	return fmt.Errorf("the saga did not succeed: %w", err)
}

// insist runs the saga as somebody does whose coordinator may die: the same saga
// again until there is an answer.
func insist(ctx context.Context, w *World, build func() *txn.Saga) error {
	for {
		_, err := build().Run(ctx, w)
		code := codes.OK
		if _, failed := errors.AsType[*txn.Failure](err); err != nil && !failed {
			code = rpc.FromError(err).Code
		}
		if code != codes.Unavailable && code != codes.DeadlineExceeded || ctx.Err() != nil {
			return err
		}
	}
}

// seen gathers what happened in the world.
func (w *World) seen(state string) *seen {
	w.faults.mu.Lock()
	defer w.faults.mu.Unlock()
	return &seen{saga: w.faults.saga, calls: slices.Clone(w.faults.calls), points: maps.Clone(w.faults.points), state: state}
}
