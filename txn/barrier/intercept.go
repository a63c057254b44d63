package barrier

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/telemetry"
)

// Intercept is the barrier as the interceptor of a server, the last before the
// handler: it is for [rpc.ServerOptions]. Calls that are no branch pass it.
//
// A handler behind it may be run again from its start, when the database asks for
// it, so what it does besides using the database must bear repetition.
func (b *Barrier) Intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (reply any, err error) {
	branch, is, err := incoming(ctx)
	if !is {
		return handler(ctx, req)
	}
	// What is not said otherwise below, a panic for one, is not known.
	outcome := &txnv1.Outcome{Kind: txnv1.Outcome_KIND_RETRY, Reason: "the handler broke off"}
	how := "broken"
	defer func() {
		tell(ctx, outcome)
		b.metrics.passed(branch.Op, how, outcome.GetKind())
	}()
	if err != nil {
		outcome, how = retry(err), "malformed"
		return nil, &rpc.Error{Code: codes.InvalidArgument, Message: err.Error()}
	}
	telemetry.SpanFromContext(ctx).Tag("warren.txn.gid", branch.GID)
	c := &call{barrier: b, branch: branch, method: info.FullMethod, req: req, handler: handler}
	ctx = context.WithValue(ctx, branchKey{}, branch)
	switch {
	case branch.Op == txnv1.Op_OP_PREPARE:
		reply, err = c.prepare(ctx)
		how = c.verdict.String()
	case b.manual(info.FullMethod):
		reply, err = c.leave(ctx)
		how = "manual"
	default:
		reply, err = c.run(ctx)
		if branch.inDoubt && c.outcome(err).GetKind() == txnv1.Outcome_KIND_FAILURE {
			reply, err = c.bar(ctx, err)
		}
		how = c.verdict.String()
	}
	outcome = c.outcome(err)
	outcome.Barred = c.barred
	return reply, err
}

// call is one operation of one branch on its way through the barrier.
type call struct {
	barrier *Barrier
	branch  Branch
	method  string
	req     any
	handler grpc.UnaryHandler

	verdict verdict
	barred  bool // the refusal is noted
	reply   proto.Message
	// failed is what the handler, or the barrier, refused with the last time it
	// was run: only that says something definite.
	failed error
}

// outcome is what the call's error means. One that the database added, after the
// handler or instead of it, leaves everything open.
func (c *call) outcome(err error) *txnv1.Outcome {
	if err != nil && err != c.failed { //nolint:errorlint // identity is the question
		return retry(err)
	}
	return outcomeOf(err)
}

// leave leaves it to the handler to call Do.
func (c *call) leave(ctx context.Context) (any, error) {
	if _, err := c.barrier.database(ctx, c.method, c.req); err != nil { // for its tables
		return nil, err
	}
	reply, err := c.handler(context.WithValue(ctx, keepKey{}, c.barrier.keep.Get()), c.req)
	c.failed = err
	return reply, err
}

// run does the operation in a transaction that the handler joins.
func (c *call) run(ctx context.Context) (any, error) {
	db, err := c.barrier.database(ctx, c.method, c.req)
	if err != nil {
		return nil, err
	}
	err = db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := c.work(ctx, tx)
		return err
	}, store.Joinable)
	if err != nil {
		return nil, err
	}
	return c.reply, nil
}

// work does the operation within a transaction, if it is to be done, keeps the
// answer for those who ask again, and returns it.
func (c *call) work(ctx context.Context, tx *store.Tx) (raw []byte, err error) {
	c.failed, c.reply = nil, nil
	if c.verdict, err = pass(ctx, tx, c.branch, "", c.barrier.keep.Get()); err != nil {
		c.failed = err
		return nil, err
	}
	if c.verdict != fresh {
		var saved []byte
		if c.verdict == duplicate {
			if _, saved, err = done(ctx, tx, c.branch, op(c.branch.Op), ""); err != nil {
				return nil, err
			}
		}
		c.reply, err = c.answer(saved)
		return nil, err
	}
	reply, err := c.handler(ctx, c.req)
	if err != nil {
		c.failed = err
		return nil, err
	}
	message, ok := reply.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("answer of %s is a %T, no message", c.method, reply)
	}
	if raw, err = proto.Marshal(message); err != nil {
		return nil, fmt.Errorf("keep answer of %s: %w", c.method, err)
	}
	c.reply = message
	if len(raw) == 0 {
		return raw, nil // as it is noted already
	}
	return raw, save(ctx, tx, c.branch, raw)
}

// bar notes that the action was refused, so that another call of it, which may still
// be on its way, is refused too. One that came first has its answer.
func (c *call) bar(ctx context.Context, why error) (any, error) {
	db, err := c.barrier.database(ctx, c.method, c.req)
	if err != nil {
		return nil, err
	}
	what := op(c.branch.Op)
	var by string
	var saved []byte
	err = db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		by, saved = byRefusal, nil
		first, err := insert(ctx, tx, c.branch, what, "", byRefusal)
		if err == nil && !first {
			by, saved, err = done(ctx, tx, c.branch, what, "")
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case by != what:
		c.barred = true
		return nil, why
	}
	c.verdict = duplicate
	return c.answer(saved)
}

// answer makes the method's answer of what was kept of it.
func (c *call) answer(raw []byte) (proto.Message, error) {
	kind, err := c.barrier.replyType(c.method)
	if err != nil {
		return nil, err
	}
	message := kind.New().Interface()
	if err := proto.Unmarshal(raw, message); err != nil {
		return nil, fmt.Errorf("read kept answer of %s: %w", c.method, err)
	}
	return message, nil
}

// replyType returns what a method answers with.
func (b *Barrier) replyType(fullMethod string) (protoreflect.MessageType, error) {
	if known, ok := b.replies.Load(fullMethod); ok {
		return known.(protoreflect.MessageType), nil
	}
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(fullMethod, "/"), "/", "."))
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		return nil, fmt.Errorf("find contract of %s: %w", fullMethod, err)
	}
	method, ok := found.(protoreflect.MethodDescriptor)
	if !ok {
		return nil, fmt.Errorf("find contract of %s: it is no method", fullMethod)
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByName(method.Output().FullName())
	if err != nil {
		return nil, fmt.Errorf("find answer of %s: %w", fullMethod, err)
	}
	b.replies.Store(fullMethod, kind)
	return kind, nil
}
