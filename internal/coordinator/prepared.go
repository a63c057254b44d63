package coordinator

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/rpc"
)

// open waits for whoever opened the transaction to decide. When the time is up
// it is aborted; of a saga, its local transaction is asked about.
func (t *transaction) open(next *time.Time) {
	if !t.expired(next) {
		return
	}
	if t.check == nil {
		t.turnBack("", "nobody decided in time", codes.DeadlineExceeded, nil)
		return
	}
	if t.asking {
		return
	}
	if time.Until(t.askAt) > 0 {
		*next = t.askAt
		return
	}
	if !t.e.begin() {
		return
	}
	t.asking = true
	check := t.check
	gate, policy := t.e.gates.of("/" + check.GetService() + "/Query")
	gate.enter(func() {
		defer t.e.calls.Done()
		result, err := t.e.query(t.row.gid, t.row.created, check, policy.timeout.Get())
		t.told(result, err, policy)
	})
}

// askNow has the local transaction asked about. It may be committed at this very
// moment: that it is not to be, only its database can decide.
func (t *transaction) askNow() {
	t.row.deadline, t.changed = t.e.now(), true
	t.tries, t.askAt = 0, time.Time{}
}

// query asks whether a local transaction took place.
func (e *Engine) query(gid string, created int64, check *txnv1.Check, timeout time.Duration) (txnv1.QueryResponse_Result, error) {
	if e.draining.Load() {
		return txnv1.QueryResponse_RESULT_UNSPECIFIED, context.Canceled
	}
	ctx, cancel := context.WithTimeout(e.callContext, timeout)
	defer cancel()
	resp, err := txnv1.NewParticipantServiceClient(e.opts.Conn).Query(rpc.ToService(ctx, check.GetService()),
		&txnv1.QueryRequest{Gid: gid, Branch: check.GetBranch(), Database: check.GetDatabase(),
			CreateTime: timestamppb.New(time.UnixMicro(created))})
	return resp.GetResult(), err
}

// told takes in whether the local transaction took place.
func (t *transaction) told(result txnv1.QueryResponse_Result, err error, policy *callPolicy) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asking = false
	if t.gone || t.row.state != txnv1.State_STATE_PREPARED {
		return
	}
	switch {
	case err == nil && result == txnv1.QueryResponse_RESULT_COMMITTED:
		t.begin()
	case err == nil && result == txnv1.QueryResponse_RESULT_ROLLED_BACK:
		t.because("", "its local transaction did not take place", codes.Aborted, nil)
		t.end(txnv1.State_STATE_FAILED)
	default:
		t.tries++
		reason := "the participant gave no answer"
		if err != nil {
			reason = err.Error()
		}
		if t.tries >= policy.attempts.Get() {
			t.park("", "whether its local transaction took place is not known: "+reason)
			break
		}
		t.askAt = time.Now().Add(jitter(policy.backoff.Get(), policy.backoffMax.Get(), t.tries))
	}
	t.flush()
	t.advance()
}

// begin lets a saga that was only prepared begin, with the time it was given.
func (t *transaction) begin() {
	t.row.deadline = 0
	if d := t.saga.GetTimeout().AsDuration(); d > 0 {
		t.row.deadline = t.e.now() + d.Microseconds()
	}
	t.row.state, t.changed = txnv1.State_STATE_RUNNING, true
	if len(t.saga.GetLocks()) > 0 {
		t.row.state = txnv1.State_STATE_WAITING
	}
}
