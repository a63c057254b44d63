package barrier

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/rpc"
)

// Failure returns err as the definite failure of a branch: it had no effect and
// will have none when it is tried again. Errors with the codes of a refused
// request (INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, FAILED_PRECONDITION,
// OUT_OF_RANGE, PERMISSION_DENIED) are failures by themselves; all others are
// tried again. An error without a code gets FAILED_PRECONDITION.
func Failure(err error) error {
	if err == nil {
		return nil
	}
	e := *rpc.FromError(err)
	if e.Code == codes.Unknown {
		e.Code, e.Message = codes.FailedPrecondition, err.Error()
	}
	return &typed{status: &e, cause: err, kind: txnv1.Outcome_KIND_FAILURE}
}

// Ongoing returns the error of a branch that needs more time than a call has: it
// is called again after the time given, as often as it takes. What the handler
// wrote for it is rolled back, like with any error.
func Ongoing(after time.Duration) error {
	return &typed{
		status: &rpc.Error{Code: codes.Aborted, Message: "it goes on: ask again later", RetryAfter: after},
		kind:   txnv1.Outcome_KIND_ONGOING, after: after,
	}
}

// typed is an error that says which outcome it is.
type typed struct {
	status *rpc.Error // as it travels
	cause  error
	kind   txnv1.Outcome_Kind
	after  time.Duration
}

// Error returns what the caller will see.
func (t *typed) Error() string { return t.status.Error() }

// Unwrap returns the error as it travels, and what it was made from.
func (t *typed) Unwrap() []error {
	if t.cause == nil {
		return []error{t.status}
	}
	return []error{t.status, t.cause}
}

// refuse is the failure of a branch that the barrier itself stands against.
func refuse(reason txnv1.Reason, format string, args ...any) error {
	return Failure(rpc.Errorf(reason, format, args...))
}

// definite are the codes by which a handler refuses a request for good.
var definite = map[codes.Code]bool{
	codes.InvalidArgument: true, codes.NotFound: true, codes.AlreadyExists: true,
	codes.FailedPrecondition: true, codes.OutOfRange: true, codes.PermissionDenied: true,
}

const longestReason = 1000

// outcomeOf says what an error of the handler, or none, means.
func outcomeOf(err error) *txnv1.Outcome {
	if err == nil {
		return &txnv1.Outcome{Kind: txnv1.Outcome_KIND_OK}
	}
	if t, ok := errors.AsType[*typed](err); ok {
		o := &txnv1.Outcome{Kind: t.kind, Reason: shortened(t.Error())}
		if t.after > 0 {
			o.After = durationpb.New(t.after)
		}
		return o
	}
	if e := rpc.FromError(err); definite[e.Code] {
		return &txnv1.Outcome{Kind: txnv1.Outcome_KIND_FAILURE, Reason: shortened(e.Error())}
	}
	return retry(err)
}

// retry says that it isn't known whether the branch took effect. Why stays in
// this process: it was not written for others.
func retry(err error) *txnv1.Outcome {
	o := &txnv1.Outcome{Kind: txnv1.Outcome_KIND_RETRY}
	if e := rpc.FromError(err); e != nil && e.Code != codes.Unknown {
		o.Reason = shortened(e.Error())
		if e.RetryAfter > 0 {
			o.After = durationpb.New(e.RetryAfter)
		}
	}
	return o
}

// tell sends the outcome with the answer.
func tell(ctx context.Context, o *txnv1.Outcome) {
	if raw, err := proto.Marshal(o); err == nil {
		// Only fails when the stream is gone, and then nobody needs it.
		_ = grpc.SetTrailer(ctx, metadata.Pairs(MetadataOutcome, string(raw)))
	}
}

// OutcomeOf says how the call of a branch ended, by its trailer and error. What
// doesn't come from a barrier is known to have succeeded, or not known.
func OutcomeOf(trailer metadata.MD, err error) *txnv1.Outcome {
	if values := trailer.Get(MetadataOutcome); len(values) == 1 {
		o := &txnv1.Outcome{}
		said := proto.Unmarshal([]byte(values[0]), o) == nil && o.GetKind() != txnv1.Outcome_KIND_UNSPECIFIED
		if said && (err == nil) == (o.GetKind() == txnv1.Outcome_KIND_OK) {
			return o
		}
	}
	if err == nil {
		return &txnv1.Outcome{Kind: txnv1.Outcome_KIND_OK}
	}
	return retry(err)
}

// shortened keeps a reason readable, and small enough for a trailer.
func shortened(reason string) string {
	runes := []rune(reason)
	if len(runes) <= longestReason {
		return reason
	}
	return string(runes[:longestReason]) + "…"
}
