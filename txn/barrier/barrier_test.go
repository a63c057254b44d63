package barrier_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/txn/barrier"
)

// C26: duplicates, one after the other and 50 at once, have one effect and one
// answer.
func TestC26DuplicatesHaveOneEffect(t *testing.T) {
	each(t, func(f *fair) {
		first := f.want(branch("a", try), succeeded)
		for range 3 {
			if shelf := f.want(branch("a", try), succeeded); shelf != first || shelf == "" {
				f.Errorf("answered %q the first time, %q again", first, shelf)
			}
		}
		var shelves [50]string
		together(50, func(i int) { shelves[i] = f.want(branch("b", try), succeeded) })
		for _, shelf := range shelves {
			if shelf != shelves[0] || shelf == "" {
				f.Errorf("answers differ: %q and %q", shelves[0], shelf)
			}
		}
		f.stock(96, 0)
		together(50, func(i int) { f.want(branch("a", confirm), succeeded) })
		together(50, func(i int) { f.want(branch("b", cancel), succeeded) })
		f.stock(98, 2)
	})
}

// C27: a cancel before its try does nothing, and neither does the try that comes
// after it.
func TestC27EmptyThenHanging(t *testing.T) {
	each(t, func(f *fair) {
		for do, undo := range map[txnv1.Op]txnv1.Op{try: cancel, action: compensate} {
			gid := do.String()
			f.want(branch(gid, undo), succeeded)
			_, o, err := f.call(branch(gid, do))
			if o.GetKind() != failure || !strings.Contains(o.GetReason(), "came after its") || err == nil {
				f.Errorf("%v after %v: %v, %v; want a clear refusal", do, undo, o, err)
			}
			f.want(branch(gid, undo), succeeded)
		}
		f.stock(100, 0)
		if f.ran("Reserve")+f.ran("Release") != 0 {
			f.Error("a handler was run")
		}
	})
}

// C28: a cancel that meets a try which isn't committed yet waits for it: both
// take place, or neither.
func TestC28CancelMeetsTry(t *testing.T) {
	for name, ending := range map[string]error{"TryCommits": nil, "TryRollsBack": errors.New("no")} {
		t.Run(name, func(t *testing.T) {
			each(t, func(f *fair) {
				inTry, atCancel := make(chan struct{}), make(chan struct{})
				f.hook("Reserve", func(context.Context) error {
					close(inTry)
					<-atCancel
					return ending
				})
				f.arrived = func(method string) {
					if method == "Release" {
						close(atCancel)
					}
				}
				together(2, func(i int) {
					switch {
					case i == 0 && ending == nil:
						f.want(branch("a", try), succeeded)
					case i == 0:
						f.want(branch("a", try), again)
					default:
						<-inTry
						f.want(branch("a", cancel), succeeded)
					}
				})
				f.stock(100, 0)
				if want := map[bool]int{true: 1, false: 0}[ending == nil]; f.ran("Release") != want {
					f.Errorf("the cancel ran %d times; want %d", f.ran("Release"), want)
				}
			})
		})
	}
}

// C29: a try that took place is cancelled once, however often it is asked.
func TestC29CancelledOnce(t *testing.T) {
	each(t, func(f *fair) {
		f.want(branch("a", try), succeeded)
		f.stock(98, 0)
		for range 3 {
			f.want(branch("a", cancel), succeeded)
		}
		f.stock(100, 0)
		if f.ran("Release") != 1 {
			f.Errorf("the cancel ran %d times", f.ran("Release"))
		}
	})
}

// C30: what a handler writes can't end up in another transaction than what the
// barrier notes: another database is refused, and rolled back with it nothing
// stays.
func TestC30OneDatabase(t *testing.T) {
	each(t, func(f *fair) {
		other := f.database("other")
		f.hook("Reserve", func(ctx context.Context) error {
			_, err := other.Exec(ctx, `UPDATE stock SET free = 0`)
			if !errors.Is(err, store.ErrElsewhere) {
				f.Errorf("a write to another database: %v", err)
			}
			return err
		})
		f.want(branch("a", action), again)
		f.stock(100, 0)
	})
}

// C31: a deadlock, or a file that is locked, is not the caller's business: the
// whole local transaction is run again.
func TestC31LocalTransactionIsRunAgain(t *testing.T) {
	each(t, func(f *fair) {
		f.exec(`INSERT INTO stock (goods, free, sold) VALUES ('x', 0, 0), ('y', 0, 0)`)
		if f.sqlite() {
			held, release := make(chan struct{}), make(chan struct{})
			f.arrived = func(string) { close(release) }
			together(2, func(i int) {
				if i == 1 {
					<-held
					f.want(branch("a", action), succeeded)
					return
				}
				f.must(f.database("other process").InTx(f.ctx, func(context.Context, *store.Tx) error {
					close(held)
					<-release
					return nil
				}))
			})
			f.stock(98, 0)
			return
		}
		var both atomic.Int64
		holds := map[int64]chan struct{}{1: make(chan struct{}), 2: make(chan struct{})}
		cross := func(ctx context.Context) error {
			first, second := "x", "y"
			n := both.Add(1)
			if n == 2 {
				first, second = second, first
			}
			if _, err := f.db.Exec(ctx, `UPDATE stock SET sold = sold + 1 WHERE goods = ?`, first); err != nil {
				return err
			}
			if mine := holds[n]; mine != nil {
				close(mine)
				<-holds[3-n]
			}
			_, err := f.db.Exec(ctx, `UPDATE stock SET sold = sold + 1 WHERE goods = ?`, second)
			return err
		}
		f.exec(`INSERT INTO reserved (id, quantity) VALUES ('a', 0), ('b', 0)`)
		f.hook("Confirm", cross)
		together(2, func(i int) { f.want(branch([]string{"a", "b"}[i], confirm), succeeded) })
		if both.Load() < 3 {
			f.Errorf("the handlers ran %d times: there was no deadlock", both.Load())
		}
		var x, y int64
		f.must(f.db.QueryRow(f.ctx, `SELECT MIN(sold), MAX(sold) FROM stock WHERE goods IN ('x', 'y')`).Scan(&x, &y))
		if x != 2 || y != 2 {
			f.Errorf("counted %d and %d; want 2 and 2", x, y)
		}
	})
}

// C31, with what deadlocks MySQL's INSERT IGNORE: many wait for a row whose owner
// rolls back.
func TestC31ManyWaitForARollback(t *testing.T) {
	each(t, func(f *fair) {
		var failed atomic.Bool
		inside, crowd := make(chan struct{}), make(chan struct{})
		var arrived atomic.Int64
		f.arrived = func(method string) {
			if method == "Release" && arrived.Add(1) == 20 {
				close(crowd)
			}
		}
		f.hook("Reserve", func(context.Context) error {
			if failed.CompareAndSwap(false, true) {
				close(inside)
				<-crowd
				return errors.New("no")
			}
			return nil
		})
		together(21, func(i int) {
			if i == 0 {
				f.want(branch("a", try), again)
				return
			}
			<-inside
			f.want(branch("a", cancel), succeeded)
		})
		f.stock(100, 0)

		// And the local transaction of a two-phase message, which rolls back while
		// many ask about it.
		held, asked := make(chan struct{}), make(chan struct{})
		together(21, func(i int) {
			if i == 0 {
				err := f.db.InTx(f.ctx, func(ctx context.Context, tx *store.Tx) error {
					if err := barrier.Local(ctx, tx, "m", "order"); err != nil {
						return err
					}
					close(held)
					<-asked
					return errors.New("no")
				})
				if err == nil {
					f.Error("the local transaction took place")
				}
				return
			}
			<-held
			if i == 20 {
				close(asked)
			}
			got, err := f.part.Query(f.system(f.ctx), &txnv1.QueryRequest{Gid: "m", Branch: "order"})
			if err != nil || got.GetResult() != txnv1.QueryResponse_RESULT_ROLLED_BACK {
				f.Errorf("query: %v, %v; want rolled back", got, err)
			}
		})
	})
}

// C32: what is purged is not done a second time: who comes so late is refused,
// and not told that all is well.
func TestC32ForgottenIsRefused(t *testing.T) {
	each(t, func(f *fair) {
		old := func(op txnv1.Op) *txnv1.Branch {
			b := branch("old", op)
			b.CreateTime = timestamppb.New(time.Now().Add(-61 * time.Minute))
			return b
		}
		f.want(branch("old", action), succeeded)
		f.want(branch("young", action), succeeded)
		first := f.want(old(action), succeeded) // it is remembered still
		if first == "" {
			f.Error("the answer is lost")
		}
		f.exec(`UPDATE warren_barrier SET created_at = ? WHERE gid = 'old'`, time.Now().Add(-61*time.Minute))
		f.must(f.barrier.Tidy(f.ctx))
		for _, op := range []txnv1.Op{action, compensate, try, confirm, cancel} {
			_, o, err := f.call(old(op))
			if o.GetKind() != again || err == nil || !strings.Contains(o.GetReason(), "txn.barrier.keep") {
				f.Errorf("%v that may be forgotten: %v, %v; want a refusal that says why", op, o, err)
			}
		}
		f.stock(96, 0)
		f.want(branch("young", compensate), succeeded)
		f.stock(98, 0)
		// A try is refused as soon as its transaction is over for sure.
		late := branch("late", try)
		late.Deadline = timestamppb.New(time.Now().Add(-2 * time.Minute))
		f.want(late, failure)
		f.stock(98, 0)
	}, options{settings: settings(t, "txn.barrier.keep", "1h")})
}

// C32 for a local transaction: whether it took place is not guessed when its note may
// be gone.
func TestC32ForgottenLocalTransactionIsNotAnswered(t *testing.T) {
	each(t, func(f *fair) {
		ask := func(gid string, age time.Duration) (txnv1.QueryResponse_Result, error) {
			got, err := f.part.Query(f.system(f.ctx), &txnv1.QueryRequest{Gid: gid, Branch: "order", CreateTime: timestamppb.New(time.Now().Add(-age))})
			return got.GetResult(), err
		}
		f.must(barrier.Migrate(f.ctx, f.db))
		for _, gid := range []string{"kept", "purged"} {
			f.must(f.db.InTx(f.ctx, func(ctx context.Context, tx *store.Tx) error { return barrier.Local(ctx, tx, gid, "order") }))
		}
		f.exec(`UPDATE warren_barrier SET created_at = ? WHERE gid = 'purged'`, time.Now().Add(-61*time.Minute))
		f.must(f.barrier.Tidy(f.ctx))
		for range 2 { // the question leaves nothing behind
			if got, err := ask("purged", 61*time.Minute); err == nil || !strings.Contains(err.Error(), "txn.barrier.keep") {
				f.Errorf("what may be forgotten: %v, %v; want no answer", got, err)
			}
		}
		if got, err := ask("kept", 61*time.Minute); err != nil || got != txnv1.QueryResponse_RESULT_COMMITTED {
			f.Errorf("what is old and remembered: %v, %v", got, err)
		}
		if got, err := ask("never", time.Minute); err != nil || got != txnv1.QueryResponse_RESULT_ROLLED_BACK {
			f.Errorf("what did not take place: %v, %v", got, err)
		}
	}, options{settings: settings(t, "txn.barrier.keep", "1h")})
}

// C33: several things done within one handler are told apart by their names, in
// whatever order they come.
func TestC33NamesNotCounters(t *testing.T) {
	const reserve, release = "/fair.v1.StallService/Reserve", "/fair.v1.StallService/Release"
	each(t, func(f *fair) {
		var order []string
		var breakOff bool
		did := map[string]int{}
		do := func(ctx context.Context) error {
			for _, name := range order {
				err := f.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
					return barrier.Do(ctx, tx, name, func(context.Context, *store.Tx) error { did[name]++; return nil })
				})
				if err != nil {
					return err
				}
				if breakOff {
					return errors.New("the handler broke off")
				}
			}
			return nil
		}
		f.hook("Reserve", do)
		f.hook("Release", do)
		order, breakOff = []string{"shelf", "bag"}, true
		f.want(branch("a", action), again)
		order, breakOff = []string{"bag", "shelf"}, false
		f.want(branch("a", action), succeeded)
		f.want(branch("a", action), succeeded)
		if fmt.Sprint(did) != "map[bag:1 shelf:1]" {
			f.Errorf("did %v; want each once", did)
		}
		order = []string{"gift", "bag", "shelf"} // the gift never took place
		f.want(branch("a", compensate), succeeded)
		f.want(branch("a", compensate), succeeded)
		if fmt.Sprint(did) != "map[bag:2 shelf:2]" {
			f.Errorf("did %v; want each done and undone once", did)
		}
		order = []string{"gift"}
		f.want(branch("a", action), failure) // too late
		if did["gift"] != 0 {
			f.Error("what was barred took place")
		}
	}, options{manual: []string{reserve, release}})
}

// A handler that isn't declared Manual has its transaction from the barrier.
func TestDoWithoutManual(t *testing.T) {
	each(t, func(f *fair) {
		f.hook("Reserve", func(ctx context.Context) error {
			return f.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
				return barrier.Do(ctx, tx, "shelf", func(context.Context, *store.Tx) error { return nil })
			})
		})
		f.want(branch("a", action), again)
		f.must(f.db.InTx(f.ctx, func(ctx context.Context, tx *store.Tx) error {
			ran := false
			err := barrier.Do(ctx, tx, "shelf", func(context.Context, *store.Tx) error { ran = true; return nil })
			if !ran {
				f.Error("outside of a distributed transaction nothing is run")
			}
			return err
		}))
	})
}
