package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/telemetry"
)

// The names under which a call says which branch it is, and its answer how it ended.
const (
	branchMetadata  = "warren-txn-bin"
	outcomeMetadata = "warren-txn-outcome-bin"
)

// call is one call of a branch.
type call struct {
	gid, branch, transaction string
	op                       txnv1.Op
	epoch                    int64
	deadline, created        int64
	reason                   string // why it is undone
	reasonStatus             []byte // the error of it, as it travels
	trace                    string
	method                   string
	request                  []byte
	finish                   *finish
	timeout                  time.Duration
	number                   int
	started, took            int64
	inDoubt                  bool // an earlier call may still be on its way
}

// finish is the second half of a two-phase commit.
type finish struct {
	service, method string
	commit          bool
}

// outcome is how a call ended.
type outcome struct {
	kind     txnv1.Outcome_Kind
	after    time.Duration
	code     codes.Code
	reason   string
	status   []byte
	response []byte
	lost     bool // what was prepared is gone: calling again is no use
	barred   bool // refused, and so is every other call of the action
}

// call calls the branch. Its trace is that of whoever began the transaction.
func (e *Engine) call(c call) outcome {
	ctx, cancel := context.WithTimeout(e.callContext, c.timeout)
	defer cancel()
	ctx = e.opts.Tracer.Resume(ctx, c.trace)
	if c.op == txnv1.Op_OP_COMPENSATE || c.op == txnv1.Op_OP_CANCEL {
		ctx = telemetry.Keep(ctx, "compensation") // what is undone is always of interest
	}
	ctx, span := e.opts.Tracer.Start(ctx, c.transaction+" "+c.branch, trace.SpanKindInternal)
	defer span.End()
	began := time.Now()
	var o outcome
	if err := e.fail("before " + c.op.String()); err != nil {
		o = outcome{kind: txnv1.Outcome_KIND_RETRY, code: codes.Unavailable, reason: err.Error()}
	} else if c.finish != nil {
		o = e.finish(ctx, c)
	} else {
		o = e.invoke(ctx, c)
	}
	if err := e.fail("after " + c.op.String()); err != nil {
		o = outcome{kind: txnv1.Outcome_KIND_RETRY, code: codes.Unavailable, reason: err.Error()}
	}
	if o.kind == txnv1.Outcome_KIND_FAILURE || o.kind == txnv1.Outcome_KIND_RETRY {
		span.SetError(errors.New(o.reason))
	}
	if span.Recording() {
		span.SetAttr(attribute.String("warren.txn.gid", c.gid), attribute.String("warren.txn.name", c.transaction),
			attribute.String("warren.txn.branch", c.branch), attribute.String("warren.txn.op", opName(c.op)),
			attribute.String("warren.txn.outcome", kindName(o.kind)), attribute.Int("warren.txn.attempt", c.number))
	}
	method := c.method
	if c.finish != nil {
		method = c.finish.method
	}
	e.metrics.calls.WithLabelValues(method, opName(c.op), kindName(o.kind)).Observe(time.Since(began).Seconds())
	return o
}

// invoke calls a method of a contract that the coordinator does not know.
func (e *Engine) invoke(ctx context.Context, c call) outcome {
	about := &txnv1.Branch{Gid: c.gid, Branch: c.branch, Op: c.op, Epoch: c.epoch, Reason: c.reason, ReasonStatus: c.reasonStatus,
		CreateTime: timestamppb.New(time.UnixMicro(c.created)), InDoubt: c.inDoubt}
	if c.deadline != 0 {
		about.Deadline = timestamppb.New(e.clock.wall(c.deadline))
	}
	said, err := proto.Marshal(about)
	if err != nil {
		return outcome{kind: txnv1.Outcome_KIND_RETRY, code: codes.Internal, reason: err.Error()}
	}
	ctx = metadata.AppendToOutgoingContext(ctx, branchMetadata, string(said))
	var trailer metadata.MD
	var reply []byte
	err = e.opts.Conn.Invoke(ctx, c.method, &c.request, &reply, grpc.ForceCodec(rawCodec{}), grpc.Trailer(&trailer))
	return judgeCall(err, trailer, reply)
}

// judgeCall reads how a call ended from what the participant's barrier said.
// Where it said nothing, an error tells nothing but that one must ask again.
func judgeCall(err error, trailer metadata.MD, reply []byte) outcome {
	o := outcome{kind: txnv1.Outcome_KIND_RETRY}
	if err == nil {
		o.kind, o.response = txnv1.Outcome_KIND_OK, reply
	} else {
		failure := rpc.FromError(err)
		o.code, o.reason, o.after = failure.Code, clean(failure.Error()), failure.RetryAfter
		o.status = statusOf(failure)
	}
	values := trailer.Get(outcomeMetadata)
	if len(values) == 0 {
		return o
	}
	var said txnv1.Outcome
	if proto.Unmarshal([]byte(values[len(values)-1]), &said) != nil {
		return o
	}
	switch kind := said.GetKind(); kind {
	case txnv1.Outcome_KIND_OK: // an error nevertheless: the answer did not arrive
	case txnv1.Outcome_KIND_FAILURE, txnv1.Outcome_KIND_ONGOING, txnv1.Outcome_KIND_RETRY:
		o.kind, o.barred = kind, said.GetBarred()
	}
	if after := said.GetAfter(); after != nil {
		o.after = after.AsDuration()
	}
	if said.GetReason() != "" {
		o.reason = clean(said.GetReason())
	}
	return o
}

// statusOf is the error as it travels, without what is too long to be kept.
func statusOf(failure *rpc.Error) []byte {
	short := *failure
	short.Message = clean(short.Message)
	data, err := proto.Marshal(short.GRPCStatus().Proto())
	if err != nil || len(data) > 4*maxText {
		return nil
	}
	return data
}

// finish commits or rolls back what a branch prepared.
func (e *Engine) finish(ctx context.Context, c call) outcome {
	decision := txnv1.FinishRequest_DECISION_ROLLBACK
	if c.finish.commit {
		decision = txnv1.FinishRequest_DECISION_COMMIT
	}
	_, err := txnv1.NewParticipantServiceClient(e.opts.Conn).Finish(rpc.ToService(ctx, c.finish.service),
		&txnv1.FinishRequest{Gid: c.gid, Branch: c.branch, Decision: decision, Epoch: c.epoch})
	o := judgeCall(err, nil, nil)
	if errors.Is(err, rpc.Reason(txnv1.Reason_PREPARED_LOST)) {
		o.kind, o.lost = txnv1.Outcome_KIND_FAILURE, true
	}
	return o
}

// rawCodec passes messages on as they are.
type rawCodec struct{}

// Name is that of the bytes on the wire.
func (rawCodec) Name() string { return "proto" }

// Marshal returns the bytes.
func (rawCodec) Marshal(v any) ([]byte, error) {
	raw, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("encode %T: not raw bytes", v)
	}
	return *raw, nil
}

// Unmarshal keeps the bytes.
func (rawCodec) Unmarshal(data []byte, v any) error {
	raw, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("decode %T: not raw bytes", v)
	}
	*raw = append([]byte(nil), data...)
	return nil
}

func opName(op txnv1.Op) string {
	names := [...]string{"", "action", "compensate", "try", "confirm", "cancel", "prepare", "message"}
	if int(op) < len(names) {
		return names[op]
	}
	return op.String()
}

func kindName(kind txnv1.Outcome_Kind) string {
	names := [...]string{"", "ok", "failure", "ongoing", "retry"}
	if int(kind) < len(names) {
		return names[kind]
	}
	return kind.String()
}
