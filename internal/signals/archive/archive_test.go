package archive_test

import (
	"bytes"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/gowarren/warren/internal/signals/archive"
	"github.com/gowarren/warren/internal/signals/segment"
)

const patience = 2 * time.Minute // for a loaded machine

func limits() archive.Limits {
	return archive.Limits{
		Bytes: 64 << 20, Retention: time.Hour, Slow: time.Second, Sample: 0.1, QueueBytes: 8 << 20, TraceSpans: 10_000,
	}
}

func open(t *testing.T, dir string, change func(*archive.Options)) *archive.Archive {
	t.Helper()
	opts := archive.Options{Dir: dir, Limits: limits, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	if change != nil {
		change(&opts)
	}
	a, err := archive.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
	for !done() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited for %s", what)
		}
	}
}

type call struct {
	trace    byte
	service  string
	name     string
	start    time.Time
	duration time.Duration
	failed   bool
	attrs    map[string]any
}

func traces(calls ...call) ptrace.Traces {
	td := ptrace.NewTraces()
	for i, c := range calls {
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", c.service)
		s := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
		s.SetTraceID([16]byte{c.trace, 1})
		s.SetSpanID([8]byte{c.trace, byte(i), 1})
		s.SetName(c.name)
		s.SetStartTimestamp(stamp(c.start))
		s.SetEndTimestamp(stamp(c.start.Add(c.duration)))
		if c.failed {
			s.Status().SetCode(ptrace.StatusCodeError)
		}
		_ = s.Attributes().FromRaw(c.attrs)
	}
	return td
}

func add(t *testing.T, a *archive.Archive, calls ...call) {
	t.Helper()
	before := a.Stats().Spans
	if err := a.AddTraces(traces(calls...)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the spans to be written", func() bool { return a.Stats().Spans >= before+int64(len(calls)) })
}

func search(t *testing.T, a *archive.Archive, q archive.TraceSearch) (ids []byte) {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	q.Patience = patience
	page, err := a.SearchTraces(q)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range page.Items {
		ids = append(ids, s.Trace[0])
	}
	return ids
}

func TestSearchTraces(t *testing.T) {
	a := open(t, t.TempDir(), nil)
	now := time.Now()
	add(t, a,
		call{trace: 1, service: "gateway", name: "GET /", start: now.Add(-3 * time.Second), duration: time.Second},
		call{trace: 2, service: "gateway", name: "POST /orders", start: now.Add(-2 * time.Second), duration: 20 * time.Millisecond},
		call{trace: 2, service: "order", name: "Place", start: now.Add(-2 * time.Second), duration: 10 * time.Millisecond, failed: true,
			attrs: map[string]any{archive.OrderAttribute: "o-1", "rpc.method": "Place", "other": "x"}},
		call{trace: 3, service: "order", name: "GET /", start: now.Add(-time.Second), duration: 3 * time.Second},
	)
	for name, c := range map[string]struct {
		q    archive.TraceSearch
		want []byte
	}{
		"all, newest first":  {archive.TraceSearch{}, []byte{3, 2, 1}},
		"slowest":            {archive.TraceSearch{Slowest: true}, []byte{3, 1, 2}},
		"service":            {archive.TraceSearch{Service: "gateway"}, []byte{2, 1}},
		"operation":          {archive.TraceSearch{Operation: "GET /"}, []byte{3, 1}},
		"service, operation": {archive.TraceSearch{Service: "order", Operation: "GET /"}, []byte{3}},
		"errors":             {archive.TraceSearch{Errors: true}, []byte{2}},
		"order":              {archive.TraceSearch{Attributes: map[string]string{archive.OrderAttribute: "o-1"}}, []byte{2}},
		"two terms":          {archive.TraceSearch{Service: "gateway", Errors: true}, []byte{2}},
		"not indexed":        {archive.TraceSearch{Attributes: map[string]string{"other": "x"}}, nil},
		"at least":           {archive.TraceSearch{Min: 500 * time.Millisecond}, []byte{3, 1}},
		"at most":            {archive.TraceSearch{Max: 500 * time.Millisecond}, []byte{2}},
		"service, slowest":   {archive.TraceSearch{Service: "order", Slowest: true}, []byte{3, 2}},
		"since":              {archive.TraceSearch{From: now.Add(-2500 * time.Millisecond).UnixNano()}, []byte{3, 2}},
		"until":              {archive.TraceSearch{To: now.Add(-2500 * time.Millisecond).UnixNano()}, []byte{1}},
		"nobody":             {archive.TraceSearch{Service: "nobody"}, nil},
		"a page of two":      {archive.TraceSearch{Limit: 2}, []byte{3, 2}},
	} {
		if got := search(t, a, c.q); !bytes.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	summary, spans, err := a.Trace(segment.ID{2, 1})
	if err != nil || summary == nil || summary.Spans != 2 || summary.Errors != 1 || summary.OrderID != "o-1" || len(spans) != 1 ||
		strings.Join(summary.Services, " ") != "gateway order" || summary.Name != "POST /orders" {
		t.Errorf("trace 2: %+v, %d chunks, %v", summary, len(spans), err)
	}
	if summary, _, err := a.Trace(segment.ID{9}); summary != nil || err != nil {
		t.Errorf("an unknown trace: %v, %v", summary, err)
	}
}

// Each page goes on where the one before ended, over the borders of files too.
func TestPages(t *testing.T) {
	now := time.Now()
	clock := newClock(now)
	a := open(t, t.TempDir(), func(o *archive.Options) { o.Now = clock.now })
	for i := range byte(30) {
		if i%10 == 0 {
			clock.forward(time.Hour) // a new file
		}
		add(t, a, call{trace: i, service: "s", name: "n", start: clock.now().Add(time.Duration(i) * time.Millisecond)})
	}
	if n := a.Stats().Segments; n != 3 {
		t.Errorf("%d files, want 3", n)
	}
	var got []byte
	q := archive.TraceSearch{Service: "s", Limit: 7, Patience: patience}
	for {
		page, err := a.SearchTraces(q)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page.Items {
			got = append(got, s.Trace[0])
		}
		if q.To = page.Next; q.To == 0 {
			break
		}
	}
	for i, id := range got {
		if int(id) != 29-i {
			t.Fatalf("found %v", got)
		}
	}
	if len(got) != 30 {
		t.Errorf("found %d", len(got))
	}
}

// What was written is there after the process has ended, however it did; a
// damaged file is moved aside, and nothing else is lost.
func TestReopen(t *testing.T) {
	dir := t.TempDir()
	a := open(t, dir, nil)
	now := time.Now()
	add(t, a, call{trace: 1, service: "s", name: "n", start: now})
	// As kill -9 leaves it: the files of a running archive.
	killed := t.TempDir()
	if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(killed, segment.Name("20200101T00", 0)), []byte("this is no database, whatever its name says"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := open(t, killed, nil)
	if got := search(t, b, archive.TraceSearch{}); !bytes.Equal(got, []byte{1}) {
		t.Errorf("found %v", got)
	}
	if got := b.Stats().Broken; len(got) != 1 {
		t.Errorf("broken: %v", got)
	}
	add(t, b, call{trace: 2, service: "s", name: "n", start: now})
	add(t, b, call{trace: 1, service: "s", name: "later", start: now})
	if summary, _, err := b.Trace(segment.ID{1, 1}); err != nil || summary == nil || summary.Spans != 2 {
		t.Errorf("a trace that goes on: %+v, %v", summary, err)
	}
}

// Nobody finds a card number in any of the files, wherever it was put.
func TestSecretsAreNotStored(t *testing.T) {
	const card, spaced, password = "4111111111111111", "4111 1111 1111 1111", "hunter2hunter2"
	dir := t.TempDir()
	a := open(t, dir, nil)
	td := traces(call{trace: 1, service: "s", name: "pay " + card, start: time.Now(), attrs: map[string]any{
		"card.number": "42", "note": "with " + spaced, "db.password": password, "number": int64(4111111111111111),
		"nested": map[string]any{"deep": []any{card}, "token": password},
	}})
	s := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
	s.Status().SetMessage("refused " + card)
	s.Events().AppendEmpty().Attributes().PutStr("exception.message", card)
	td.ResourceSpans().At(0).Resource().Attributes().PutStr("process.command", "pay "+card)
	if err := a.AddTraces(td); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"plain " + card, `{"time":"2026-01-02T03:04:05Z","level":"INFO","msg":"card ` + spaced + `","password":"` + password + `","n":4111111111111111}`,
		`{"msg":"x","request":{"card":{"number":"` + card + `"},"authorization":"` + password + `"}}`,
	} {
		a.AddOutput(archive.Output{Service: "s", Instance: "s/1", Time: time.Now(), Text: text})
	}
	eventually(t, "all to be written", func() bool { st := a.Stats(); return st.Spans == 1 && st.Lines == 3 })
	if n := a.Stats().Redacted; n < 10 {
		t.Errorf("redacted %d values", n)
	}
	_, chunks, err := a.Trace(segment.ID{1, 1})
	if err != nil || len(chunks) != 1 {
		t.Fatal(chunks, err)
	}
	decoded, err := (&ptrace.JSONMarshaler{}).MarshalTraces(chunks[0]) // what is compressed on disk
	if err != nil {
		t.Fatal(err)
	}
	look := func(where string, text []byte) {
		for _, secret := range []string{card, spaced, password} {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("%s holds %q", where, secret)
			}
		}
	}
	look("the trace", decoded)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	files := 0
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		look(path, text)
		files++
		return err
	})
	if files == 0 {
		t.Error("no file was looked at")
	}
}
