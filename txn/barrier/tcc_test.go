package barrier_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
)

// D34: the initiator dies after some tries: all that it had registered are
// cancelled, and nothing stays reserved.
func TestD34InitiatorDies(t *testing.T) {
	each(t, func(f *fair) {
		registered := make([]*txnv1.Branch, 6)
		for i := range registered {
			b := branch("a", try)
			b.Branch = fmt.Sprintf("try-%d", i)
			registered[i] = b
			if i < 3 {
				f.want(b, succeeded)
			}
		}
		f.stock(94, 0)
		for range 2 {
			together(len(registered), func(i int) {
				b := &txnv1.Branch{Gid: "a", Branch: registered[i].GetBranch(), Op: cancel, Reason: "time is up"}
				f.want(b, succeeded)
			})
		}
		f.stock(100, 0)
		for _, b := range registered[3:] {
			f.want(b, failure) // was on its way when its sender died
		}
		f.stock(100, 0)
	})
}

// D35: one try fails while others are under way: all are cancelled, those too of
// which nobody knows how they ended.
func TestD35CancelledWhileTrying(t *testing.T) {
	each(t, func(f *fair) {
		f.exec(`UPDATE stock SET free = 10`)
		together(16, func(i int) {
			b := branch("a", try)
			b.Branch = fmt.Sprintf("try-%d", i%8)
			if i >= 8 {
				b.Op = cancel
				f.want(b, succeeded)
				return
			}
			if _, o, err := f.call(b); o.GetKind() != succeeded && o.GetKind() != failure {
				f.Errorf("try: %v, %v", o, err)
			}
		})
		f.stock(10, 0)
	})
}

// D36: a confirm that fails for long is asked again, and what was reserved stays
// so until it succeeds, once.
func TestD36ConfirmFailsForLong(t *testing.T) {
	each(t, func(f *fair) {
		f.want(branch("a", try), succeeded)
		f.hook("Confirm", func(context.Context) error { return errors.New("the till is stuck") })
		for range 5 {
			f.want(branch("a", confirm), again)
		}
		f.hook("Confirm", func(context.Context) error { return status.Error(codes.FailedPrecondition, "the till is locked") })
		_, o, _ := f.call(branch("a", confirm))
		if o.GetKind() != failure || !strings.Contains(o.GetReason(), "locked") {
			f.Errorf("outcome is %v; want a failure with its reason, for an operator", o)
		}
		f.stock(98, 0)
		f.hook("Confirm", nil)
		f.want(branch("a", confirm), succeeded)
		f.want(branch("a", confirm), succeeded)
		f.stock(98, 2)
	})
}
