package console

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/gowarren/warren/internal/console/frame"
)

// Entry is one thing that somebody did in the console.
type Entry = frame.Entry

// Audit is the file of what people did in the console, a line for each. It is
// only ever added to. When it is full it is turned over: the one before is kept,
// and what was before that is gone.
type Audit struct {
	Path string

	mu sync.Mutex
}

// mostAudit is how long the file becomes.
const mostAudit = 16 << 20

// mostSaid is what is kept of one thing that an entry says.
const mostSaid = 8 << 10

// Add writes an entry down.
func (a *Audit) Add(e Entry) error {
	for _, text := range []*string{&e.Author, &e.Target, &e.Reason, &e.Error} {
		if len(*text) > mostSaid {
			*text = strings.ToValidUTF8((*text)[:mostSaid], "") + "…"
		}
	}
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("write the audit: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.turn(); err != nil {
		return err
	}
	f, err := os.OpenFile(a.Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write the audit: %w", err)
	}
	_, err = f.Write(append(line, '\n'))
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write the audit: %w", err)
	}
	return nil
}

func (a *Audit) before() string { return a.Path + ".1" }

func (a *Audit) turn() error {
	info, err := os.Stat(a.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = os.MkdirAll(filepath.Dir(a.Path), 0o700)
	case err == nil && info.Size() >= mostAudit:
		err = os.Rename(a.Path, a.before())
	}
	if err != nil {
		return fmt.Errorf("write the audit: %w", err)
	}
	return nil
}

// List returns the last entries that fit, the last one first; a limit of 0: all.
func (a *Audit) List(limit int, fits func(Entry) bool) ([]Entry, error) {
	out := []Entry{}
	for _, path := range []string{a.before(), a.Path} {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			out, err = readEntries(out, f, fits)
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			return nil, fmt.Errorf("read the audit: %w", err)
		}
	}
	slices.Reverse(out)
	if limit > 0 {
		out = out[:min(limit, len(out))]
	}
	return out, nil
}

// readEntries leaves out a line that is not whole, as the last one after a power
// cut may be.
func readEntries(to []Entry, from io.Reader, fits func(Entry) bool) ([]Entry, error) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 64*mostSaid) // as much as JSON makes of it at most
	for lines.Scan() {
		var e Entry
		if json.Unmarshal(lines.Bytes(), &e) == nil && (fits == nil || fits(e)) {
			to = append(to, e)
		}
	}
	return to, lines.Err()
}

type auditView struct {
	Table *frame.Table
	Query string
}

// Export is what people did.
func (v auditView) Export() *frame.Table { return v.Table }

// auditList lists what people did through the console.
func (s *screens) auditList(r *frame.Request) (any, error) {
	const enough = 1000
	if s.audit == nil {
		return nil, &frame.Problem{Status: http.StatusNotImplemented, Title: "No audit is kept", Text: "What people do is in the log of this console only."}
	}
	v := auditView{Query: r.Get("q")}
	found, err := s.audit.List(enough+1, func(e Entry) bool { return e.Fits(v.Query) })
	if err != nil {
		return nil, err
	}
	t := frame.Table{
		Caption: "What people did in the console",
		Columns: []frame.Column{
			{Key: "time", Title: "When", Number: true}, {Key: "who", Title: "Who"}, {Key: "what", Title: "What"},
			{Key: "why", Title: "Why"}, {Key: "ended", Title: "How it ended"}, {Key: "from", Title: "From", Wide: true},
		},
		Empty: frame.Empty{
			Title: "Nobody did anything yet",
			Text:  "Restarts, changes of settings, retries and everything else that people do here is listed with their name and their reason.",
		},
	}
	if t.Empty.Clear = clearOf(r, "q"); t.Empty.Clear != "" {
		t.Empty.Title, t.Empty.Text = "Nothing fits", "Nobody did anything with these words in it."
	}
	for i, e := range found[:min(enough, len(found))] {
		t.Rows = append(t.Rows, auditRow(fmt.Sprintf("audit-%d", len(found)-i), e))
	}
	if len(found) > enough {
		t.Note = fmt.Sprintf("the last %d", enough)
	}
	v.Table = r.Sorted(t, "-time")
	return v, nil
}

func auditRow(id string, e Entry) frame.Row {
	ended := frame.Stated("done", frame.Good)
	if e.Error != "" {
		ended = frame.Cell{Text: "refused", Status: &frame.Status{Word: "refused", Tone: frame.Warn}, Sub: e.Error}
	}
	return frame.Row{ID: id, Cells: []frame.Cell{
		frame.At(e.Time), {Text: e.Author, Sub: e.Role}, {Text: e.Action, Sub: e.Target}, frame.Text(e.Reason), ended, frame.Mono(e.From),
	}}
}
