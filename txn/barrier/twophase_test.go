package barrier_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/store/storetest"
	"github.com/gowarren/warren/txn/barrier"
)

// servers runs a test on the databases that can prepare transactions.
func servers(t *testing.T, test func(*fair), opts ...options) {
	t.Helper()
	t.Run("postgres", func(t *testing.T) { test(open(t, storetest.PostgreSQL(t), opts...).release()) })
	t.Run("mysql", func(t *testing.T) { test(open(t, storetest.MySQL(t), opts...).release()) })
}

// release has what is prepared rolled back after the test: a database can't be
// dropped before.
func (f *fair) release() *fair {
	f.Cleanup(func() {
		ctx := context.Background()
		db := f.db
		list, err := db.Prepared(ctx)
		for _, p := range list {
			err = errors.Join(err, db.RollbackPrepared(ctx, p.Name))
		}
		if err != nil {
			f.Error(err)
		}
	})
	return f
}

// finish decides a branch.
func (f *fair) finish(gid string, commit bool) error {
	f.Helper()
	decision := txnv1.FinishRequest_DECISION_ROLLBACK
	if commit {
		decision = txnv1.FinishRequest_DECISION_COMMIT
	}
	_, err := f.part.Finish(f.system(f.ctx), &txnv1.FinishRequest{Gid: gid, Branch: "reserve", Decision: decision})
	return received(err)
}

// waits wants so many branches to be prepared.
func (f *fair) waits(gids ...string) {
	f.Helper()
	got, err := f.part.Prepared(f.system(f.ctx), &txnv1.PreparedRequest{})
	f.must(err)
	if len(got.GetPrepared()) != len(gids) {
		f.Fatalf("prepared are %v; want %q", got, gids)
	}
	for i, gid := range gids {
		if p := got.GetPrepared()[i]; p.GetGid() != gid || p.GetBranch() != "reserve" || time.Since(p.GetPrepareTime().AsTime()) > time.Minute {
			f.Errorf("prepared is %v; want %q", p, gid)
		}
	}
}

// restart is a new process over the same database.
func (f *fair) restart() {
	f.Helper()
	f.serve(options{})
}

// D37: everything dies after all have prepared, and nothing was decided: what is
// prepared is listed by who comes after, and rolled back.
func TestD37DiedBeforeTheDecision(t *testing.T) {
	servers(t, func(f *fair) {
		first := f.want(branch("a", prepare), succeeded)
		if shelf := f.want(branch("a", prepare), succeeded); shelf != first || shelf == "" {
			f.Errorf("answered %q the first time, %q again", first, shelf)
		}
		f.stock(100, 0) // nobody sees it yet
		f.waits("a")
		f.restart()
		f.waits("a")
		for range 2 {
			f.must(f.finish("a", false))
		}
		f.stock(100, 0)
		f.waits()
		f.want(branch("a", prepare), failure) // was on its way
		f.waits()
		if err := f.finish("a", true); !errors.Is(err, rpc.Reason(txnv1.Reason_TRANSACTION_ABORTED)) {
			f.Errorf("commit of what was rolled back: %v", err)
		}
	})
}

// D38: everything dies after the decision: it is carried out everywhere, here on
// databases of two kinds, however often it is asked for.
func TestD38DiedAfterTheDecision(t *testing.T) {
	one := open(t, storetest.PostgreSQL(t)).release()
	other := open(t, storetest.MySQL(t)).release()
	for _, f := range []*fair{one, other} {
		f.want(branch("a", prepare), succeeded)
	}
	for _, f := range []*fair{one, other} {
		f.restart()
		for range 3 {
			f.must(f.finish("a", true))
		}
		f.stock(98, 0)
		f.waits()
		f.want(branch("a", prepare), succeeded) // a duplicate of what took place
		f.stock(98, 0)
		if err := f.finish("a", false); !errors.Is(err, rpc.Reason(txnv1.Reason_TRANSACTION_COMMITTED)) {
			f.Errorf("rollback of what was committed: %v", err)
		}
	}
}

// D39: what is prepared no more was finished before, or is lost: the barrier's row
// tells which, and what is lost is said to be.
func TestD39FinishedOrLost(t *testing.T) {
	servers(t, func(f *fair) {
		byHand := func(gid string, end func(context.Context, string) error) {
			f.want(branch(gid, prepare), succeeded)
			list, err := f.db.Prepared(f.ctx)
			f.must(err)
			f.must(end(f.ctx, list[0].Name))
		}
		byHand("committed", f.db.CommitPrepared)
		f.must(f.finish("committed", true))
		f.stock(98, 0)
		byHand("lost", f.db.RollbackPrepared)
		if err := f.finish("lost", true); !errors.Is(err, rpc.Reason(txnv1.Reason_PREPARED_LOST)) {
			f.Errorf("commit of what is lost: %v", err)
		}
		f.stock(98, 0)
		if n, err := testutil.GatherAndCount(f.metrics, "warren_txn_prepared_lost_total"); n != 1 || err != nil || !strings.Contains(f.logs.String(), "is lost") {
			f.Error("what is lost is not reported")
		}
		f.must(f.finish("never came", false))
		f.want(branch("never came", prepare), failure)
		f.stock(98, 0)
	})
}

// D40: what its coordinator has forgotten is reported, and decided by nobody else;
// a database that can't prepare says so.
func TestD40Orphans(t *testing.T) {
	servers(t, func(f *fair) {
		f.want(branch("orphan", prepare), succeeded)
		f.exec(`UPDATE warren_prepared SET created_at = ?`, time.Now().Add(-2*time.Hour))
		f.must(f.barrier.Tidy(f.ctx))
		if !strings.Contains(f.logs.String(), "waits for its coordinator") || !strings.Contains(f.logs.String(), "orphan") {
			f.Errorf("the orphan is not reported: %s", f.logs)
		}
		if list, err := f.db.Prepared(f.ctx); len(list) != 1 || err != nil {
			f.Errorf("prepared are %v, %v; want the orphan", list, err)
		}
		f.must(f.finish("orphan", true)) // an operator's decision
		f.stock(98, 0)
		f.must(f.barrier.Tidy(f.ctx))
	})
}

func TestD40Refused(t *testing.T) {
	f := open(t, storetest.SQLite(t))
	_, o, err := f.call(branch("a", prepare))
	if o.GetKind() != failure || !errors.Is(err, rpc.Reason(txnv1.Reason_TWO_PHASE_UNSUPPORTED)) || !strings.Contains(err.Error(), "use PostgreSQL") {
		t.Errorf("SQLite: %v, %v", o, err)
	}
	if err := f.finish("a", true); !errors.Is(err, rpc.Reason(txnv1.Reason_TWO_PHASE_UNSUPPORTED)) {
		t.Errorf("finish on SQLite: %v", err)
	}
	f.must(f.barrier.Tidy(f.ctx))
	servers(t, func(f *fair) {
		_, o, err := f.call(branch("a", prepare))
		if o.GetKind() != failure || !errors.Is(err, rpc.Reason(txnv1.Reason_TWO_PHASE_UNSUPPORTED)) {
			t.Errorf("not switched on: %v, %v", o, err)
		}
	}, options{noTwo: true})
}

// A branch that fails, or panics, leaves nothing prepared; 20 that prepare the
// same at once prepare it once.
func TestPrepareOnce(t *testing.T) {
	servers(t, func(f *fair) {
		f.hook("Reserve", func(context.Context) error { panic("boom") })
		f.want(branch("a", prepare), again)
		f.hook("Reserve", func(context.Context) error { return barrier.Failure(errors.New("no")) })
		f.want(branch("a", prepare), failure)
		if list, err := f.db.Prepared(f.ctx); len(list) != 0 || err != nil {
			f.Errorf("prepared are %v, %v", list, err)
		}
		f.hook("Reserve", nil)
		f.want(branch("a", prepare), succeeded)
		together(20, func(int) {
			// One that comes too early to find the answer is told to give up: who
			// asks then is not who was answered.
			if _, o, err := f.call(branch("a", prepare)); o.GetKind() == again {
				f.Errorf("%v, %v", o, err)
			}
		})
		f.waits("a")
		f.must(f.finish("a", true))
		f.stock(98, 0)
	})
}

// What waits for its decision is counted as often as the setting says.
func TestPreparedAreCounted(t *testing.T) {
	servers(t, func(f *fair) {
		ctx, stop := context.WithCancel(f.ctx)
		ended := make(chan error, 1)
		go func() { ended <- f.barrier.Run(ctx) }()
		f.want(branch("a", prepare), succeeded)
		f.counted(1)
		f.must(f.finish("a", true))
		f.counted(0)
		stop()
		f.must(<-ended)
	}, options{settings: settings(t, "txn.barrier.audit", "20ms")})
}

// counted waits until so many are said to be prepared.
func (f *fair) counted(want float64) {
	f.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		all, err := f.metrics.Gather()
		f.must(err)
		for _, one := range all {
			if one.GetName() == "warren_txn_prepared" && one.GetMetric()[0].GetGauge().GetValue() == want {
				return
			}
		}
		select {
		case <-ticker.C:
		case <-f.ctx.Done():
			f.Fatalf("it is not said that %v are prepared", want)
		}
	}
}
