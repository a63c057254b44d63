package archive_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/gowarren/warren/internal/signals/archive"
	"github.com/gowarren/warren/internal/signals/segment"
)

// log keeps what is told.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), text)
}

// A sender whose clock is a year off is listed when its spans came, and makes
// neither files nor gaps.
func TestSkewedClocks(t *testing.T) {
	a := open(t, t.TempDir(), nil)
	now := time.Now()
	add(t, a, call{trace: 1, service: "s", name: "n", start: now.Add(-time.Second), duration: time.Millisecond})
	add(t, a, call{trace: 2, service: "s", name: "n", start: now.AddDate(1, 0, 0), duration: time.Millisecond})
	add(t, a, call{trace: 3, service: "s", name: "n", start: now.AddDate(-50, 0, 0), duration: time.Millisecond})
	got := search(t, a, archive.TraceSearch{From: now.Add(-time.Minute).UnixNano(), To: time.Now().Add(time.Minute).UnixNano()})
	if !bytes.Equal(got, []byte{3, 2, 1}) {
		t.Errorf("found %v", got)
	}
	summary, _, err := a.Trace(segment.ID{2, 1})
	if err != nil || !summary.Skewed || summary.Start != now.AddDate(1, 0, 0).UnixNano() {
		t.Errorf("%+v %v", summary, err)
	}
	if n := a.Stats().Segments; n != 1 {
		t.Errorf("%d files", n)
	}
}

// A trace without end takes no more than its share; the rest is counted.
func TestEndlessTrace(t *testing.T) {
	const kept = 2000
	a := open(t, t.TempDir(), func(o *archive.Options) {
		o.Limits = func() archive.Limits { l := limits(); l.TraceSpans = kept; return l }
	})
	const rounds, each = 10, 1000
	for round := range rounds {
		td := ptrace.NewTraces()
		spans := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans()
		for i := range each {
			s := spans.AppendEmpty()
			s.SetTraceID([16]byte{1, 1})
			s.SetSpanID([8]byte{byte(round), byte(i), byte(i >> 8), 1})
			s.SetName("loop")
			s.SetStartTimestamp(stamp(time.Now()))
		}
		if err := a.AddTraces(td); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all to be counted", func() bool { return a.Stats().Dropped["trace_size"].Spans == rounds*each-kept })
	summary, chunks, err := a.Trace(segment.ID{1, 1})
	if err != nil || summary.Spans != rounds*each || !summary.Truncated {
		t.Errorf("%+v %v", summary, err)
	}
	n := 0
	for _, td := range chunks {
		n += td.SpanCount()
	}
	if n != kept {
		t.Errorf("%d spans are kept, want %d", n, kept)
	}
}

// When more comes than is written, senders are told, memory stays bounded, and
// afterwards everything is taken again.
func TestFlood(t *testing.T) {
	const most = 1 << 20
	a := open(t, t.TempDir(), func(o *archive.Options) {
		o.Limits = func() archive.Limits { l := limits(); l.QueueBytes = most; return l }
	})
	var busy, taken int
	for i := 0; busy == 0 && i < 1_000_000; i++ {
		var calls []call
		for j := range 50 {
			calls = append(calls, call{trace: byte(j), service: "s", name: strconv.Itoa(i), start: time.Now(), attrs: map[string]any{"n": strings.Repeat("x", 100)}})
		}
		switch err := a.AddTraces(traces(calls...)); {
		case err == nil:
			taken += len(calls)
		case errors.Is(err, archive.ErrBusy):
			busy++
		default:
			t.Fatal(err)
		}
		a.AddOutput(archive.Output{Service: "s", Time: time.Now(), Text: "a line"}) // never waits
	}
	if busy == 0 {
		t.Fatal("the queue was never full")
	}
	if st := a.Stats(); st.Dropped["queue"].Spans == 0 || st.Queued > 2*most {
		t.Errorf("dropped %v, %d bytes wait", st.Dropped, st.Queued)
	}
	eventually(t, "what was taken to be written", func() bool { return a.Stats().Spans == int64(taken) })
	if err := a.AddTraces(traces(call{trace: 1, service: "s", name: "after", start: time.Now()})); err != nil {
		t.Errorf("after the flood: %v", err)
	}
}

// The budget holds: the oldest files go, but what failed or belongs to a
// transaction stays longer than the rest.
func TestBudget(t *testing.T) {
	const budget = 4 << 20
	a := open(t, t.TempDir(), func(o *archive.Options) {
		o.Limits = func() archive.Limits { l := limits(); l.Bytes, l.Sample, l.QueueBytes = budget, 0, 64<<20; return l }
	})
	var thinned bool
	for i := 0; !thinned || a.Stats().Dropped["expired"].Spans == 0; i++ {
		if i > 100_000 {
			t.Fatalf("nothing was thinned (%v) or dropped: %+v", thinned, a.Stats())
		}
		var calls []call
		for j := range 100 {
			noise := make([]byte, 300)
			for k := range noise {
				noise[k] = byte(' ' + (i*j*k+k*k*7+i)%90)
			}
			calls = append(calls, call{trace: byte(j), service: "s", name: strconv.Itoa(i), start: time.Now(), failed: j == 7, attrs: map[string]any{"noise": string(noise)}})
		}
		td := traces(calls...)
		for r, rs := range td.ResourceSpans().All() {
			rs.ScopeSpans().At(0).Spans().At(0).SetTraceID([16]byte{byte(r), 2, byte(i), byte(i >> 8)})
		}
		if err := a.AddTraces(td); err != nil && !errors.Is(err, archive.ErrBusy) {
			t.Fatal(err)
		}
		a.AddOutput(archive.Output{Service: "s", Time: time.Now(), Text: "a line"})
		if i%20 == 0 {
			eventually(t, "room in the queue", func() bool { return a.Stats().Queued < 1<<20 })
			thinned = thinned || onlyFailedOnesStay(t, a)
		}
		if st := a.Stats(); st.Bytes > budget+2<<20 { // the file that is written, with its log
			t.Fatalf("%d bytes, the budget is %d", st.Bytes, budget)
		}
	}
}

// onlyFailedOnesStay reports whether there is a file of which that can be seen now: a
// busy machine may drop one as soon as it is thinned.
func onlyFailedOnesStay(t *testing.T, a *archive.Archive) bool {
	st := a.Stats()
	if st.ThinnedBefore == 0 || st.Dropped["thinned"].Spans == 0 {
		return false
	}
	failed, err := a.SearchTraces(archive.TraceSearch{Errors: true, To: st.ThinnedBefore, Limit: 500, Patience: patience})
	if err != nil {
		t.Fatal(err)
	}
	if len(failed.Items) == 0 {
		return false
	}
	oldest := failed.Items[len(failed.Items)-1]
	all, err := a.SearchTraces(archive.TraceSearch{Operation: oldest.Name, Limit: 500, Patience: patience})
	if err != nil {
		t.Fatal(err)
	}
	return len(all.Items) == 1 && all.Items[0].Errors > 0
}

// A disk that takes nothing costs what comes meanwhile, and nothing else.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	told := &log{}
	clock := newClock(time.Now())
	a := open(t, dir, func(o *archive.Options) {
		o.Logger = slog.New(slog.NewTextHandler(told, nil))
		o.Now = clock.now
	})
	add(t, a, call{trace: 1, service: "s", name: "n", start: clock.now()})
	// The next hour needs a new file, for which there is no place.
	away := dir + ".away"
	clock.forward(time.Hour)
	if err := os.Rename(dir, away); err != nil {
		t.Fatal(err)
	}
	if err := a.AddTraces(traces(call{trace: 2, service: "s", name: "n", start: clock.now()})); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the trouble to be told", func() bool { return a.Stats().Problem != "" && a.Stats().Dropped["disk"].Spans == 1 })
	if !told.has("are not stored") {
		t.Error("nobody was told")
	}
	if err := os.Rename(away, dir); err != nil {
		t.Fatal(err)
	}
	add(t, a, call{trace: 3, service: "s", name: "n", start: clock.now()})
	eventually(t, "the trouble to end", func() bool { return a.Stats().Problem == "" && told.has("stored again") })
	if got := search(t, a, archive.TraceSearch{}); !bytes.Equal(got, []byte{3, 1}) {
		t.Errorf("found %v", got)
	}
}

// A file that goes bad while it is in use is moved aside, and the others answer.
func TestFileGoesBad(t *testing.T) {
	dir := t.TempDir()
	a := open(t, dir, nil)
	add(t, a, call{trace: 1, service: "s", name: "n", start: time.Now()})
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"+segment.Suffix))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := 4096; i < len(text); i++ { // all but its first page
		text[i] = byte(i * 31)
	}
	if err := os.WriteFile(files[0], text, 0o600); err != nil {
		t.Fatal(err)
	}
	b := open(t, dir, nil)
	add(t, b, call{trace: 2, service: "s", name: "n", start: time.Now()})
	if got := search(t, b, archive.TraceSearch{}); !bytes.Equal(got, []byte{2}) {
		t.Errorf("found %v", got)
	}
	if len(b.Stats().Broken) != 1 {
		t.Errorf("broken: %v", b.Stats().Broken)
	}
}
