package barrier_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/prometheus/client_golang/prometheus/testutil"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/txn/barrier"
	fairv1 "github.com/gowarren/warren/txn/internal/testpb/fair/v1"
)

// B18: the answer is lost, the effect is not: whoever asks again gets the answer,
// and it can be undone.
func TestB18AnswerLost(t *testing.T) {
	each(t, func(f *fair) {
		f.lose = 2
		f.lost(action)
		f.stock(98, 0)
		f.lost(action)
		if shelf := f.want(branch("a", action), succeeded); !strings.Contains(shelf, "run 1") {
			f.Errorf("answered %q; want the first answer", shelf)
		}
		f.lose = 1
		f.lost(compensate)
		f.want(branch("a", compensate), succeeded)
		f.stock(100, 0)
	})
}

// lost makes a call whose answer is lost. Its outcome is not read from what is
// left of it: the trailer arrives, the answer doesn't.
func (f *fair) lost(op op) {
	f.Helper()
	if _, o, err := f.call(branch("a", op)); err == nil || o.GetKind() != again {
		f.Errorf("%v whose answer is lost: %v, %v; want to be asked again", op, o, err)
	}
}

// B19: a call that arrives after it was compensated does nothing.
func TestB19LateCall(t *testing.T) {
	each(t, func(f *fair) {
		arrived, undone := make(chan struct{}), make(chan struct{})
		var once sync.Once
		f.arrived = func(method string) {
			if method == "Reserve" { // on its way, for very long
				once.Do(func() { close(arrived); <-undone })
			}
		}
		together(2, func(i int) {
			if i == 0 {
				f.want(branch("a", action), failure)
				return
			}
			<-arrived
			f.want(branch("a", compensate), succeeded)
			close(undone)
		})
		f.stock(100, 0)
		if f.ran("Reserve") != 0 {
			f.Error("the late call was carried out")
		}
	})
}

// B19 for a refusal: of two calls of one action, the one that comes after the other's
// refusal is refused too, whatever has changed meanwhile. One that came first is answered.
func TestB19LateCallOfWhatWasRefused(t *testing.T) {
	each(t, func(f *fair) {
		var sold atomic.Bool
		f.hook("Reserve", func(context.Context) error {
			if sold.Load() {
				return rpc.FromError(status.Error(codes.FailedPrecondition, "sold out"))
			}
			return nil
		})
		doubt := func(gid string) *txnv1.Branch {
			b := branch(gid, action)
			b.InDoubt = true
			return b
		}
		refused := func(b *txnv1.Branch, barred bool) {
			f.Helper()
			if _, o, err := f.call(b); err == nil || o.GetKind() != failure || o.GetBarred() != barred {
				f.Errorf("%s: %v, %v; want it refused, barred %v", b.GetGid(), o, err, barred)
			}
		}
		f.want(branch("done", action), succeeded)
		sold.Store(true)
		refused(branch("open", action), false)
		refused(doubt("barred"), true)
		refused(doubt("barred"), true)
		f.want(doubt("done"), succeeded)
		sold.Store(false)
		f.want(branch("open", action), succeeded)
		f.want(branch("barred", action), failure)
		f.stock(96, 0)
	})
}

// B20 to B22, as the participant says it: outcomes are typed, by the error's code
// or by the handler's word, and never read from a text.
func TestB21OutcomesAreTyped(t *testing.T) {
	f := open(t, storeURL(t))
	for name, c := range map[string]struct {
		err  error
		kind kind
		code codes.Code
	}{
		"sold out":           {rpc.Errorf(fairv1.Reason_SOLD_OUT, "no bread"), failure, codes.FailedPrecondition},
		"wrapped":            {fmt.Errorf("reserve: %w", rpc.Errorf(fairv1.Reason_SOLD_OUT, "no bread")), failure, codes.FailedPrecondition},
		"status":             {status.Error(codes.NotFound, "no such bread"), failure, codes.NotFound},
		"failure":            {barrier.Failure(errors.New("burnt")), failure, codes.FailedPrecondition},
		"failure with code":  {barrier.Failure(status.Error(codes.Aborted, "burnt")), failure, codes.Aborted},
		"wrapped failure":    {fmt.Errorf("reserve: %w", barrier.Failure(errors.New("burnt"))), failure, codes.FailedPrecondition},
		"ongoing":            {barrier.Ongoing(90 * time.Second), ongoing, codes.Aborted},
		"text FAILURE":       {errors.New("FAILURE"), again, codes.Internal},
		"unavailable":        {status.Error(codes.Unavailable, "down"), again, codes.Unavailable},
		"aborted":            {status.Error(codes.Aborted, "FAILURE ONGOING"), again, codes.Aborted},
		"exhausted":          {status.Error(codes.ResourceExhausted, "quota"), again, codes.ResourceExhausted},
		"unauthenticated":    {status.Error(codes.Unauthenticated, "who?"), again, codes.Unauthenticated},
		"success after FAIL": {nil, succeeded, codes.OK},
	} {
		f.hook("Reserve", func(context.Context) error { return c.err })
		_, o, err := f.call(branch(name, action))
		if o.GetKind() != c.kind || status.Code(err) != c.code {
			t.Errorf("%s: outcome is %v, code %v (%v); want %v, %v", name, o, status.Code(err), err, c.kind, c.code)
		}
		if c.kind == ongoing && o.GetAfter().AsDuration() != 90*time.Second {
			t.Errorf("%s: ask again after %v", name, o.GetAfter().AsDuration())
		}
		if c.kind == again && strings.Contains(o.GetReason(), "internal error") {
			t.Errorf("%s: reason is %q", name, o.GetReason())
		}
	}
	f.stock(98, 0) // only one did not end with an error
	f.hook("Reserve", func(context.Context) error { return barrier.Failure(errors.New(strings.Repeat("ü", 1<<20))) })
	if _, o, _ := f.call(branch("long", action)); o.GetKind() != failure || len(o.GetReason()) > 3000 {
		t.Errorf("an error of 2 MB: outcome %v with %d bytes of reason", o.GetKind(), len(o.GetReason()))
	}
	if n, err := testutil.GatherAndCount(f.metrics, "warren_txn_barrier_calls_total"); n == 0 || err != nil {
		t.Errorf("%d series of calls, %v", n, err)
	}
}

// B25: a panic in a handler rolls back, frees what was locked, and is tried
// again.
func TestB25Panic(t *testing.T) {
	each(t, func(f *fair) {
		f.hook("Reserve", func(context.Context) error { panic("boom") })
		f.want(branch("a", action), again)
		f.stock(100, 0)
		f.hook("Reserve", nil)
		f.want(branch("a", action), succeeded)
		f.stock(98, 0)
	})
}

// Calls that are no branch, or are not believed to be one, pass; what is no
// branch at all is refused.
func TestOrdinaryAndForgedCalls(t *testing.T) {
	f := open(t, storeURL(t))
	reserve := func(ctx context.Context) error {
		_, err := f.stall.Reserve(ctx, &fairv1.ReserveRequest{Id: "a", Goods: "bread", Quantity: 2})
		return err
	}
	for range 2 {
		f.must(reserve(f.system(f.ctx)))
	}
	f.stock(96, 0)
	for name, raw := range map[string]string{"no message": "\xff\xff", "no gid": "", "no operation": "\x0a\x01a\x12\x01b"} {
		ctx := metadata.AppendToOutgoingContext(f.system(f.ctx), barrier.MetadataBranch, raw)
		if err := reserve(ctx); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, gid := range []string{strings.Repeat("x", 129), "nul\x00"} {
		if _, o, err := f.call(branch(gid, action)); o.GetKind() != again || status.Code(err) != codes.InvalidArgument {
			t.Errorf("gid %q: %v, %v", gid, o, err)
		}
	}
	f.stock(96, 0)
}

// A12, as the participant sees it: names that look alike are not the same.
func TestA12NamesAreIndependent(t *testing.T) {
	each(t, func(f *fair) {
		gids := []string{"ord-2", "ord-20", "ORD-2", "ord-2 ", "ord_2", "ord%2", `o'; DROP TABLE stock; --`, "注文-二", "🍞", strings.Repeat("ж", 128)}
		for _, gid := range gids {
			f.want(branch(gid, action), succeeded)
		}
		f.want(branch(gids[0], compensate), succeeded)
		f.stock(int64(102-2*len(gids)), 0)
	})
}
