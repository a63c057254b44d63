package console

import (
	"cmp"
	"context"
	"fmt"
	"time"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

// record has the system write down what happens in the console itself. That
// must not hold anybody up who signs in.
func (s *screens) record(ctx context.Context, e *observev1.AuditEntry) error {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	_, err := s.audit.Record(ctx, &observev1.RecordAuditRequest{Entry: e})
	return err
}

type auditView struct {
	Table *frame.Table
	Query string
}

// Export is what people did.
func (v auditView) Export() *frame.Table { return v.Table }

// auditList lists what people did to the system, here or by a command.
func (s *screens) auditList(r *frame.Request) (any, error) {
	const enough = 1000
	v := auditView{Query: r.Get("q")}
	found, err := s.audit.List(r.Context(), &observev1.ListAuditRequest{Query: v.Query, Limit: enough})
	if err != nil {
		return nil, err
	}
	t := frame.Table{
		Caption: "What people did",
		Columns: []frame.Column{
			{Key: "time", Title: "When", Number: true}, {Key: "who", Title: "Who"}, {Key: "what", Title: "What"},
			{Key: "why", Title: "Why"}, {Key: "ended", Title: "How it ended"}, {Key: "via", Title: "By", Wide: true}, {Key: "from", Title: "From", Wide: true},
		},
		Empty: frame.Empty{
			Title: "Nobody did anything yet",
			Text: "Restarts, changes of settings, retries and everything else that people do, here or by a command, is listed " +
				"with their name and their reason.",
		},
	}
	if t.Empty.Clear = clearOf(r, "q"); t.Empty.Clear != "" {
		t.Empty.Title, t.Empty.Text = "Nothing fits", "Nobody did anything with these words in it."
	}
	for i, e := range found.GetEntries() {
		t.Rows = append(t.Rows, auditRow(fmt.Sprintf("audit-%d", len(found.GetEntries())-i), e))
	}
	if found.GetMore() {
		t.Note = fmt.Sprintf("the last %d", enough)
	}
	v.Table = r.Sorted(t, "-time")
	return v, nil
}

func auditRow(id string, e *observev1.AuditEntry) frame.Row {
	ended := frame.Stated("done", frame.Good)
	if e.GetError() != "" {
		ended = frame.Cell{Text: "refused", Status: &frame.Status{Word: "refused", Tone: frame.Warn}, Sub: e.GetError()}
	}
	// Entries of before there was a choice are the console's.
	return frame.Row{ID: id, Cells: []frame.Cell{
		frame.At(e.GetTime().AsTime()), {Text: e.GetAuthor(), Sub: e.GetRole()}, {Text: e.GetAction(), Sub: e.GetTarget()}, frame.Text(e.GetReason()), ended,
		frame.Text(cmp.Or(e.GetVia(), "console")), frame.Mono(e.GetFrom()),
	}}
}
