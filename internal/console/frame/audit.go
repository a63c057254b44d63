package frame

import (
	"context"
	"net/http"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/audit"
)

// refuse writes down what somebody wanted to do, and may not. What people do is
// written down by what does it.
func (f *Frame) refuse(r *Request, action, target string, err error) {
	f.record(r.Context(), &observev1.AuditEntry{Author: r.Caller.Name, Action: action, Target: target, Reason: r.Reason(), Error: err.Error()})
}

// signed writes down that somebody signed in or out.
func (f *Frame) signed(hr *http.Request, caller Caller, action string) {
	f.record(saying(hr, caller, ""), &observev1.AuditEntry{Author: caller.Name, Action: action})
}

func (f *Frame) record(ctx context.Context, e *observev1.AuditEntry) {
	if err := f.opts.Record(ctx, e); err != nil {
		f.opts.Logger.Error("action is not in the audit", "author", e.GetAuthor(), "action", e.GetAction(), "error", err.Error())
	}
}

// saying has what is asked on behalf of a caller tell who they are here.
func saying(hr *http.Request, caller Caller, id string) context.Context {
	return audit.Caller{Via: audit.Console, Role: caller.Role.String(), From: hr.RemoteAddr, Request: id}.Say(hr.Context())
}
