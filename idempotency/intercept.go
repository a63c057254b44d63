package idempotency

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	rpcv1 "github.com/gowarren/warren/api/warren/rpc/v1"
	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/store"
)

const (
	// maxKey is what other systems allow too.
	maxKey = 255
	// MetadataReplayed is set on an answer that was given before.
	MetadataReplayed = "idempotency-replayed"
	// settleTime bounds the note of what became of a call whose time is over.
	settleTime = 3 * time.Second
)

// errTaken ends a call that took so long that another one has its key.
var errTaken = errors.New("the call took longer than it may hold its idempotency key")

// Intercept is for rpc.ServerOptions.Intercept, after the barrier of package txn:
// its calls have no keys of callers.
func (k *Keys) Intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	message, ok := req.(proto.Message)
	if !ok {
		return handler(ctx, req)
	}
	m := method(info.FullMethod)
	key, there := keyOf(ctx)
	if m == nil || m.IdempotencyKey == contract.KeyNone || !there {
		return handler(ctx, req)
	}
	if !printable(key) {
		return nil, rpc.Errorf(rpcv1.Reason_REASON_IDEMPOTENCY_KEY_INVALID, "an idempotency key has 1 to %d printable characters", maxKey)
	}
	db, err := k.opts.Database(ctx, info.FullMethod, message)
	if err != nil {
		return nil, err
	}
	c, err := newClaim(ctx, info.FullMethod, key, db, message)
	if err != nil {
		return nil, err
	}
	answer, became, err := k.answer(ctx, c, db, m, func(ctx context.Context) (any, error) { return handler(ctx, req) })
	k.metrics.count(m.FullName, became)
	return answer, err
}

// keyOf returns the key of a call, and whether it has one.
func keyOf(ctx context.Context) (string, bool) {
	values := metadata.ValueFromIncomingContext(ctx, rpc.MetadataIdempotencyKey)
	if len(values) == 0 || values[0] == "" {
		return "", false
	}
	return values[0], true
}

func printable(key string) bool {
	return len(key) <= maxKey && !strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' })
}

// answer has the call answered: by the handler, once, or by what is kept.
func (k *Keys) answer(ctx context.Context, c claim, db Database, m *contract.Method, handle func(context.Context) (any, error)) (any, outcome, error) {
	f, err := c.take(ctx, db, k.leaseOf(ctx))
	switch {
	case err != nil:
		return nil, outcomeError, fmt.Errorf("claim idempotency key: %w", err)
	case f.claimed:
		return k.work(ctx, c, db, handle)
	case f.request != c.request:
		return nil, outcomeReused, rpc.Errorf(rpcv1.Reason_REASON_IDEMPOTENCY_KEY_REUSED,
			"this idempotency key was sent before, with another request")
	case f.state == stateRunning:
		return nil, outcomeInUse, inUse(f.until)
	}
	answer, err := replay(ctx, m, f.answer)
	return answer, outcomeReplayed, err
}

// leaseOf is how long the call can take, at the most.
func (k *Keys) leaseOf(ctx context.Context) time.Duration {
	lease := k.lease.Get()
	if deadline, ok := ctx.Deadline(); ok {
		lease = min(lease, time.Until(deadline)+grace)
	}
	return lease
}

// inUse tells when to come back: soon, as the other call is about to end, and not
// after it surely has.
func inUse(until time.Time) error {
	e := rpc.Errorf(rpcv1.Reason_REASON_IDEMPOTENCY_KEY_IN_USE, "the call with this idempotency key is being answered")
	e.RetryAfter = min(time.Second, max(time.Until(until), 100*time.Millisecond))
	return e
}

// work runs the handler and keeps what it answers.
func (k *Keys) work(ctx context.Context, c claim, db Database, handle func(context.Context) (any, error)) (answer any, became outcome, err error) {
	settled := false
	defer func() {
		if !settled { // the handler panicked
			k.release(ctx, c, db)
		}
	}()
	var refused error // what the handler said, whatever the transaction makes of it
	err = db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		answer, refused = handle(ctx)
		if refused != nil {
			return refused
		}
		kept, err := encode(answer)
		if err != nil {
			return err
		}
		return c.keep(ctx, tx, kept, time.Now().Add(k.keep.Get()))
	}, store.Joinable)
	settled = true
	switch {
	case err == nil:
		return answer, outcomeFirst, nil
	case errors.Is(err, errTaken):
		return nil, outcomeTaken, inUse(time.Now())
	case refused != nil && errors.Is(err, refused) && final(refused):
		return nil, outcomeFirst, k.refuse(ctx, c, db, refused)
	}
	k.release(ctx, c, db)
	return nil, outcomeReleased, err
}

// refuse keeps an error that would come again. The work is rolled back already.
func (k *Keys) refuse(ctx context.Context, c claim, db Database, refused error) error {
	kept, err := encode(rpc.FromError(refused).GRPCStatus().Proto())
	if err != nil {
		k.release(ctx, c, db)
		return refused
	}
	ctx, cancel := settling(ctx)
	defer cancel()
	err = db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return c.keep(ctx, tx, kept, time.Now().Add(k.keep.Get()))
	})
	if err != nil {
		k.opts.Logger.WarnContext(ctx, "the answer to an idempotency key was not kept", "method", c.method, "error", err)
	}
	return refused
}

// release lets the next call with the key be the first. If the commit's outcome is
// unknown this is right as well: it waits for the commit, and finds it.
func (k *Keys) release(ctx context.Context, c claim, db Database) {
	ctx, cancel := settling(ctx)
	defer cancel()
	if err := c.release(ctx, db); err != nil {
		k.opts.Logger.WarnContext(ctx, "an idempotency key is held until its time is over", "method", c.method, "error", err)
	}
}

// settling is for what must be noted also if the caller has gone.
func settling(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), settleTime)
}

// final reports whether the same request would be refused again.
func final(err error) bool {
	switch rpc.FromError(err).Code {
	case codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.FailedPrecondition, codes.OutOfRange, codes.PermissionDenied:
		return true
	}
	return false
}

// What is kept begins with what it is.
const (
	keptAnswer byte = 'a'
	keptStatus byte = 's'
)

func encode(answer any) ([]byte, error) {
	m, ok := answer.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("keep answer: %T is no message", answer)
	}
	kind := keptAnswer
	if _, is := m.(*spb.Status); is {
		kind = keptStatus
	}
	return proto.MarshalOptions{}.MarshalAppend([]byte{kind}, m)
}

// replay gives the answer of the first time.
func replay(ctx context.Context, m *contract.Method, kept []byte) (any, error) {
	// Only fails where there is no connection, as in tests.
	_ = grpc.SetHeader(ctx, metadata.Pairs(MetadataReplayed, "true"))
	if len(kept) == 0 {
		return nil, fmt.Errorf("replay answer of %s: nothing is kept", m.FullName)
	}
	if kept[0] == keptStatus {
		st := &spb.Status{}
		if err := proto.Unmarshal(kept[1:], st); err != nil {
			return nil, fmt.Errorf("replay answer of %s: %w", m.FullName, err)
		}
		return nil, status.ErrorProto(st)
	}
	answer := empty(m.Desc.Output())
	if err := proto.Unmarshal(kept[1:], answer); err != nil {
		return nil, fmt.Errorf("replay answer of %s: %w", m.FullName, err)
	}
	return answer, nil
}

func empty(of protoreflect.MessageDescriptor) proto.Message {
	if known, err := protoregistry.GlobalTypes.FindMessageByName(of.FullName()); err == nil {
		return known.New().Interface()
	}
	return dynamicpb.NewMessage(of)
}
