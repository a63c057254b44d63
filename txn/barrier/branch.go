package barrier

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/rpc"
)

// What travels with the call of a branch, as binary metadata and trailer.
const (
	MetadataBranch  = "warren-txn-bin"
	MetadataOutcome = "warren-txn-outcome-bin"
)

// Branch says which branch of which transaction a call is.
type Branch struct {
	// GID is the transaction's, Name the branch's within it.
	GID, Name string
	// Op is what is asked of the branch.
	Op txnv1.Op
	// Reason is why the branch is undone, where it is.
	Reason string
	// Cause is the error of the step for which the branch is undone; nil where none
	// failed, or what it said is not known.
	Cause *rpc.Error
	// Epoch goes up when another coordinator takes over.
	Epoch int64
	// Deadline is when the transaction is aborted if it is not done; zero: never.
	Deadline time.Time
	// Created is when the coordinator took the transaction; zero: unknown.
	Created time.Time
	// inDoubt: an earlier call may still be on its way.
	inDoubt bool
}

const longest = 128 // characters of gid and name

type branchKey struct{}

// From returns the branch that a handler works for, if its call is one.
func From(ctx context.Context) (Branch, bool) {
	b, ok := ctx.Value(branchKey{}).(Branch)
	return b, ok
}

func causeOf(sent *txnv1.Branch) *rpc.Error {
	said := &status.Status{}
	if len(sent.GetReasonStatus()) > 0 && proto.Unmarshal(sent.GetReasonStatus(), said) == nil {
		return rpc.FromError(grpcstatus.ErrorProto(said)) // nil for a status that is OK
	}
	return nil
}

// Outgoing returns a context whose next call is the branch.
func Outgoing(ctx context.Context, branch *txnv1.Branch) (context.Context, error) {
	raw, err := proto.Marshal(branch)
	if err != nil {
		return nil, fmt.Errorf("write branch of transaction: %w", err)
	}
	return metadata.AppendToOutgoingContext(ctx, MetadataBranch, string(raw)), nil
}

// incoming reads the branch that the call is. Only a service of the system is
// believed.
func incoming(ctx context.Context) (b Branch, is bool, err error) {
	values := metadata.ValueFromIncomingContext(ctx, MetadataBranch)
	if len(values) == 0 || auth.FromContext(ctx).Service == "" {
		return b, false, nil
	}
	sent := &txnv1.Branch{}
	if len(values) > 1 {
		return b, true, fmt.Errorf("the call is %d branches at once", len(values))
	}
	if err := proto.Unmarshal([]byte(values[0]), sent); err != nil {
		return b, true, fmt.Errorf("read branch of transaction: %w", err)
	}
	b = Branch{
		GID: sent.GetGid(), Name: sent.GetBranch(), Op: sent.GetOp(), Reason: sent.GetReason(), Cause: causeOf(sent),
		Epoch: sent.GetEpoch(), inDoubt: sent.GetInDoubt(),
	}
	if at := sent.GetDeadline(); at.IsValid() {
		b.Deadline = at.AsTime()
	}
	if at := sent.GetCreateTime(); at.IsValid() {
		b.Created = at.AsTime()
	}
	return b, true, b.check()
}

func (b Branch) check() error {
	for what, name := range map[string]string{"gid": b.GID, "branch": b.Name} {
		if n := utf8.RuneCountInString(name); n == 0 || n > longest || !utf8.ValidString(name) || strings.Contains(name, "\x00") {
			return fmt.Errorf("%s %q of transaction isn't 1 to %d characters of text", what, name, longest)
		}
	}
	if op(b.Op) == "" {
		return fmt.Errorf("operation %v isn't one for a method", b.Op)
	}
	return nil
}

// op is how an operation is written in the database.
func op(o txnv1.Op) string {
	switch o {
	case txnv1.Op_OP_ACTION:
		return "action"
	case txnv1.Op_OP_COMPENSATE:
		return "compensate"
	case txnv1.Op_OP_TRY:
		return "try"
	case txnv1.Op_OP_CONFIRM:
		return "confirm"
	case txnv1.Op_OP_CANCEL:
		return "cancel"
	case txnv1.Op_OP_PREPARE:
		return opPrepare
	}
	return ""
}

const (
	opPrepare = "prepare"
	opMessage = "message"
	// byRollback bars what a coordinator decided against.
	byRollback = "rollback"
	// byRefusal bars an action that was refused, and another call of it may follow.
	byRefusal = "refusal"
)

// undoes returns the operation that o undoes, or "".
func undoes(o txnv1.Op) string {
	switch o {
	case txnv1.Op_OP_COMPENSATE:
		return "action"
	case txnv1.Op_OP_CANCEL:
		return "try"
	}
	return ""
}
