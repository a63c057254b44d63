package segment_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/gowarren/warren/internal/signals/segment"
)

func create(t *testing.T, dir string) *segment.Segment {
	t.Helper()
	now := time.Now().UnixNano()
	s, err := segment.Create(filepath.Join(dir, segment.Name("20260101T00", 1)), 1, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func write(t *testing.T, s *segment.Segment, b *segment.Batch) {
	t.Helper()
	if _, err := s.Write(b, segment.Limits{Spans: 1000, Bytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
}

// hundred traces, of which half failed.
func hundred() *segment.Batch {
	b := &segment.Batch{}
	for n := range 100 {
		id := segment.ID{byte(n), 1}
		b.Chunks = append(b.Chunks, &segment.Chunk{Trace: id, At: int64(n + 1), Spans: 1, Errors: n % 2, Data: make([]byte, 100)})
	}
	return b
}

func empty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Fatalf("left: %v, %v", entries, err)
	}
}

// What is removed does not come back, whoever is at it in that moment.
func TestRemovedIsGone(t *testing.T) {
	dir := t.TempDir()
	look := segment.TraceQuery{Window: segment.Window{To: time.Now().Add(time.Hour).UnixNano()}, Limit: 10, Deadline: time.Now().Add(time.Hour)}
	for range 20 {
		s := create(t, dir)
		write(t, s, hundred())
		if err := s.Seal(); err != nil {
			t.Fatal(err)
		}
		var work sync.WaitGroup
		work.Go(func() { _, _ = s.Thin(segment.Keep{}) }) // done before, or too late
		work.Go(func() { _, _ = s.Traces(look) })
		if err := s.Remove(); err != nil {
			t.Fatal(err)
		}
		work.Wait()
		if _, err := s.Thin(segment.Keep{}); err == nil {
			t.Error("what is gone was thinned")
		}
		if _, err := s.Traces(look); err == nil {
			t.Error("what is gone was read")
		}
		empty(t, dir)
	}
}

// A file whose log lies beside it is not thinned: the log would be taken for that of
// the new file.
func TestFileWithLogIsNotThinned(t *testing.T) {
	running, killed := t.TempDir(), t.TempDir()
	write(t, create(t, running), hundred())
	if err := os.CopyFS(killed, os.DirFS(running)); err != nil { // as kill -9 leaves it
		t.Fatal(err)
	}
	path := filepath.Join(killed, segment.Name("20260101T00", 1))
	s, err := segment.Open(path, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	other, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	reads, err := other.QueryContext(t.Context(), "SELECT id FROM traces") // and keeps the log there
	if err != nil {
		t.Fatal(err)
	}
	defer reads.Close()
	if !reads.Next() {
		t.Fatal(reads.Err())
	}
	if _, err := s.Thin(segment.Keep{}); err == nil {
		t.Error("it was thinned")
	}
	if err := errors.Join(reads.Close(), other.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	again, err := segment.Open(path, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if n := again.Info().Traces; n != 100 {
		t.Errorf("%d traces are left", n)
	}
	if _, err := again.Thin(segment.Keep{Slow: 1}); err != nil {
		t.Error(err)
	}
	if n := again.Info().Traces; n != 50 {
		t.Errorf("%d traces are left of those that failed", n)
	}
}
