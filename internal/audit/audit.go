// Package audit writes down who changed what in a running system, and why. It
// does so where a change is carried out, whoever asks for it: a method of the
// control API that changes something is in the list, by the console as by a
// command.
package audit

import (
	"cmp"
	"context"
	"log/slog"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

// Log is the audit of a system. It serves it, too.
type Log struct {
	observev1.UnimplementedAuditServiceServer
	File *File
	// Owner is who runs the system. Only they reach its API: whoever does not say
	// who they are is they.
	Owner  string
	Logger *slog.Logger
}

// Unary is an interceptor of the server of the API, which writes down what its
// methods did.
func (l *Log) Unary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	began := time.Now()
	resp, err := handler(ctx, req)
	l.Done(ctx, req, resp, began, err)
	return resp, err
}

// Done writes down what came of a request, if it is one that changes something.
// Without an answer, resp is nil.
func (l *Log) Done(ctx context.Context, req, resp any, began time.Time, err error) {
	a, ok := actOf(ctx, req, resp)
	if !ok {
		return
	}
	l.add(ctx, &observev1.AuditEntry{
		Time: timestamppb.New(began), Author: a.author, Action: a.name, Target: a.target, Reason: a.reason, Error: outcome(req, resp, err),
	})
}

// outcome is why something was not done. Of a method that somebody tries it is
// the code only: what an error says may be of what was sent.
func outcome(req, resp any, err error) string {
	if _, tried := req.(*contractsv1.CallRequest); tried {
		answer, _ := resp.(*contractsv1.CallResponse)
		switch {
		case err != nil:
			return status.Code(err).String()
		case answer.GetCode() != "OK":
			return answer.GetCode()
		}
		return ""
	}
	if err == nil {
		return ""
	}
	return status.Convert(err).Message()
}

// add completes an entry by what the call says of its caller, and keeps it: in
// the file, and in the log, where the timeline finds it.
func (l *Log) add(ctx context.Context, e *observev1.AuditEntry) {
	c := callerOf(ctx)
	e.Author = cmp.Or(e.GetAuthor(), l.Owner)
	e.Via, e.Role, e.From, e.Request = cmp.Or(c.Via, "api"), c.Role, c.From, c.Request
	attrs := []any{"kind", "audit"}
	for _, one := range [][2]string{
		{"author", e.GetAuthor()}, {"role", e.GetRole()}, {"via", e.GetVia()}, {"action", e.GetAction()}, {"target", e.GetTarget()},
		{"reason", e.GetReason()}, {"from", e.GetFrom()}, {"request", e.GetRequest()}, {"error", e.GetError()},
	} {
		if one[1] != "" {
			attrs = append(attrs, one[0], one[1])
		}
	}
	l.Logger.InfoContext(ctx, "action", attrs...)
	if err := l.File.Add(e); err != nil {
		l.Logger.ErrorContext(ctx, "action is not in the audit", "author", e.GetAuthor(), "action", e.GetAction(), "error", err.Error())
	}
}

// mostListed is how many entries are listed where nobody says how many.
const mostListed = 1000

// List implements the contract.
func (l *Log) List(_ context.Context, req *observev1.ListAuditRequest) (*observev1.ListAuditResponse, error) {
	limit := cmp.Or(int(req.GetLimit()), mostListed)
	found, err := l.File.List(limit+1, req.GetQuery())
	if err != nil {
		return nil, err
	}
	return &observev1.ListAuditResponse{Entries: found[:min(limit, len(found))], More: len(found) > limit}, nil
}

// Record implements the contract.
func (l *Log) Record(ctx context.Context, req *observev1.RecordAuditRequest) (*observev1.RecordAuditResponse, error) {
	e := req.GetEntry()
	l.add(ctx, &observev1.AuditEntry{
		Time: timestamppb.Now(), Author: e.GetAuthor(), Action: e.GetAction(), Target: e.GetTarget(), Reason: e.GetReason(), Error: e.GetError(),
	})
	return &observev1.RecordAuditResponse{}, nil
}

// fits tells whether a text stands somewhere in the entry.
func fits(e *observev1.AuditEntry, text string) bool {
	all := strings.Join([]string{
		e.GetAuthor(), e.GetRole(), e.GetVia(), e.GetAction(), e.GetTarget(), e.GetReason(), e.GetError(), e.GetFrom(),
	}, " ")
	return strings.Contains(strings.ToLower(all), strings.ToLower(text))
}
