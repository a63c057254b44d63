package coordinator

import (
	"context"
	"crypto/rand"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/page"
)

// operators is the engine to the people who look after transactions.
type operators struct {
	txnv1.UnimplementedOperatorServiceServer
	engine *Engine
	pages  *page.Tokens
}

// localOperator is the service as which the command calls: whoever holds the
// system's key.
const localOperator = "cli"

// operator returns who is calling, if they may look after transactions.
func operator(ctx context.Context) (user string, err error) {
	caller := auth.FromContext(ctx)
	switch {
	case caller.Subject != "" && caller.HasRole("operator", "admin"):
		return caller.Subject, nil
	case caller.Subject == "" && caller.Service == localOperator:
		return "", nil
	}
	return "", refused(txnv1.Reason_NOT_AN_OPERATOR, "looking after transactions takes the role operator or admin")
}

// act is one thing that an operator does to a transaction.
func (s *operators) act(ctx context.Context, gid, what, branch string, by *txnv1.By, f func(t *transaction) error) (*txnv1.Transaction, error) {
	author, err := operator(ctx)
	if err != nil {
		return nil, err
	}
	if author == "" {
		author = by.GetAuthor()
	}
	if strings.TrimSpace(author) == "" || strings.TrimSpace(by.GetReason()) == "" {
		return nil, refused(txnv1.Reason_AUTHOR_REQUIRED, "a change needs an author and a reason")
	}
	e := s.engine
	v, err := e.change(ctx, gid, func(t *transaction) error {
		if t.row.terminal() {
			return refused(txnv1.Reason_TRANSACTION_ENDED, "transaction %q has ended", gid)
		}
		if err := f(t); err != nil {
			return err
		}
		t.actions = append(t.actions, actionRow{
			gid: gid, id: rand.Text(), at: e.now(), what: what, branch: branch, author: clean(author), reason: clean(by.GetReason()),
		})
		return nil
	})
	if err == nil {
		e.metrics.actions.WithLabelValues(what).Inc()
		e.logger.InfoContext(ctx, "operator acted on transaction", "gid", gid, "action", what, "branch", branch, "author", author, "reason", by.GetReason())
	}
	return v, err
}

// resume lets a transaction go on, with a new budget.
func (t *transaction) resume() {
	t.unpark()
	t.tries = 0
	for _, b := range t.branches {
		b.again()
	}
}

// Retry calls now what is due later.
func (s *operators) Retry(ctx context.Context, req *txnv1.RetryRequest) (*txnv1.Transaction, error) {
	return s.act(ctx, req.GetGid(), "retry", "", req.GetBy(), func(t *transaction) error {
		t.resume()
		return nil
	})
}

// Compensate turns a saga back.
func (s *operators) Compensate(ctx context.Context, req *txnv1.CompensateRequest) (*txnv1.Transaction, error) {
	return s.act(ctx, req.GetGid(), "compensate", "", req.GetBy(), func(t *transaction) error {
		if t.saga == nil {
			return refused(txnv1.Reason_WRONG_PATTERN, "only a saga is compensated; abort the transaction")
		}
		t.resume()
		if t.check != nil && t.row.state == txnv1.State_STATE_PREPARED {
			t.askNow()
			return nil
		}
		if t.row.state != txnv1.State_STATE_UNDOING {
			t.turnBack("", "compensated by an operator: "+req.GetBy().GetReason(), codes.Aborted, nil)
		}
		return nil
	})
}

// Skip takes a branch for done.
func (s *operators) Skip(ctx context.Context, req *txnv1.SkipRequest) (*txnv1.Transaction, error) {
	return s.act(ctx, req.GetGid(), "skip", req.GetBranch(), req.GetBy(), func(t *transaction) error {
		b := t.branch(req.GetBranch())
		switch {
		case b == nil:
			return noBranch(t, req.GetBranch())
		case t.row.state == txnv1.State_STATE_RUNNING && b.done(), t.row.state == txnv1.State_STATE_UNDOING && b.undone():
			return refused(txnv1.Reason_BRANCH_DONE, "branch %q is done", req.GetBranch())
		case t.row.state != txnv1.State_STATE_RUNNING && t.row.state != txnv1.State_STATE_UNDOING:
			return refused(txnv1.Reason_WRONG_PATTERN, "transaction %q has not begun", t.row.gid)
		case b.busy:
			// What it answers would be thrown away, and never undone.
			return refused(txnv1.Reason_BRANCH_BUSY,
				"branch %q is being called: park the transaction, and skip the branch when the call has ended", req.GetBranch())
		}
		b.row.state, b.row.stuck, b.row.due, b.changed = txnv1.BranchState_BRANCH_STATE_SKIPPED, false, 0, true
		t.unpark()
		return nil
	})
}

func noBranch(t *transaction, name string) error {
	return refused(txnv1.Reason_BRANCH_NOT_FOUND, "transaction %q has no branch %q", t.row.gid, name)
}

// Edit replaces a branch's request and goes on.
func (s *operators) Edit(ctx context.Context, req *txnv1.EditRequest) (*txnv1.Transaction, error) {
	return s.act(ctx, req.GetGid(), "edit", req.GetBranch(), req.GetBy(), func(t *transaction) error {
		b := t.branch(req.GetBranch())
		if b == nil {
			return noBranch(t, req.GetBranch())
		}
		if b.done() || t.row.state == txnv1.State_STATE_UNDOING && b.undone() {
			return refused(txnv1.Reason_BRANCH_DONE, "branch %q is done", req.GetBranch())
		}
		if !req.GetForce() && b.mayBeDone() {
			return refused(txnv1.Reason_BRANCH_IN_DOUBT, "branch %q may have been done by its old request, and then is not done by the new one: "+
				"find out from who takes part, and force it if it was not done", req.GetBranch())
		}
		data := req.GetData()
		if text, ok := req.GetRequest().(*txnv1.EditRequest_Json); ok {
			encoded, err := fromJSON(b, text.Json)
			if err != nil {
				return err
			}
			data = encoded
		}
		if err := b.edit(data); err != nil {
			return err
		}
		t.resume()
		return nil
	})
}

// mayBeDone reports whether the branch may have been called, without a word of how
// that ended.
func (b *branch) mayBeDone() bool {
	if b.step == nil {
		return b.busy || b.inDoubt() && b.t.row.state != txnv1.State_STATE_PREPARED
	}
	return b.busy || b.inDoubt() && (b.called || b.ready())
}

// edit gives the branch another request, which is stored beside it.
func (b *branch) edit(request []byte) (err error) {
	if b.step != nil {
		edited := proto.CloneOf(b.step)
		edited.Request = request
		b.row.definition, err = encode(edited)
		b.step = edited
	} else {
		edited := proto.CloneOf(b.reg)
		edited.Request = request
		b.row.definition, err = encode(edited)
		b.reg = edited
	}
	b.changed = true
	return err
}

// fromJSON encodes a request, where the contract is linked into this program.
func fromJSON(b *branch, text string) ([]byte, error) {
	method := b.reg.GetMethod()
	if b.step != nil {
		method = b.step.GetMethod()
	}
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", "."))
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	described, ok := d.(protoreflect.MethodDescriptor)
	if err != nil || !ok {
		return nil, refused(txnv1.Reason_BAD_JSON, "the coordinator does not know the contract of %s: send the request encoded", method)
	}
	message := dynamicpb.NewMessage(described.Input())
	if err := protojson.Unmarshal([]byte(text), message); err != nil {
		return nil, refused(txnv1.Reason_BAD_JSON, "%s", clean(err.Error()))
	}
	if path := contract.SecretSet(message); path != "" {
		return nil, refused(txnv1.Reason_BAD_JSON, "the field %s is a secret, which transactions do not carry", path)
	}
	return encode(message)
}

// Park stops a transaction.
func (s *operators) Park(ctx context.Context, req *txnv1.ParkRequest) (*txnv1.Transaction, error) {
	return s.act(ctx, req.GetGid(), "park", "", req.GetBy(), func(t *transaction) error {
		t.park("", "parked by an operator: "+req.GetBy().GetReason())
		return nil
	})
}

// Unpark lets a parked transaction go on.
func (s *operators) Unpark(ctx context.Context, req *txnv1.UnparkRequest) (*txnv1.Transaction, error) {
	return s.act(ctx, req.GetGid(), "unpark", "", req.GetBy(), func(t *transaction) error {
		if !t.row.parked {
			return refused(txnv1.Reason_NOT_PARKED, "transaction %q is not parked", req.GetGid())
		}
		t.resume()
		return nil
	})
}
