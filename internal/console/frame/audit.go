package frame

import (
	"log/slog"
	"strings"
	"time"
)

// Entry is one thing that somebody did.
type Entry struct {
	Time    time.Time `json:"time"`
	Author  string    `json:"author"`
	Role    string    `json:"role"`
	Action  string    `json:"action"`
	Target  string    `json:"target"`
	Reason  string    `json:"reason"`
	From    string    `json:"from"`
	Request string    `json:"request,omitempty"`
	// Error is why it was not done; empty: it was.
	Error string `json:"error,omitempty"`
}

// Fits tells whether a text stands somewhere in the entry.
func (e Entry) Fits(text string) bool {
	all := strings.Join([]string{e.Author, e.Role, e.Action, e.Target, e.Reason, e.Error, e.From}, " ")
	return strings.Contains(strings.ToLower(all), strings.ToLower(text))
}

// audit writes down who did what to what, and why: into the log, where the
// timeline finds it, and to where the options keep it.
func (f *Frame) audit(r *Request, a *Action, form Form, err error) {
	e := Entry{
		Author: r.Caller.Name, Role: r.Caller.Role.String(), Action: a.Name, Target: form.Target, Reason: r.Reason(), From: r.RemoteAddr, Request: r.ID,
	}
	if err != nil {
		e.Error = err.Error()
	}
	f.note(e)
}

func (f *Frame) note(e Entry) {
	e.Time = time.Now().UTC()
	attrs := []any{
		"kind", "audit", "author", e.Author, "role", e.Role, "action", e.Action, "target", e.Target, "reason", e.Reason, "from", e.From, "request", e.Request,
	}
	if e.Error != "" {
		attrs = append(attrs, slog.String("error", e.Error))
	}
	f.opts.Logger.Info("console action", attrs...)
	if f.opts.Audit == nil {
		return
	}
	if err := f.opts.Audit(e); err != nil {
		f.opts.Logger.Error("console action is not in the audit", "author", e.Author, "action", e.Action, "error", err.Error())
	}
}
