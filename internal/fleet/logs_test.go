package fleet

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestOutputIsCutIntoLines shows that a line is whole however it was written,
// also the last one of a process that died in the middle of it.
func TestOutputIsCutIntoLines(t *testing.T) {
	dir := t.TempDir()
	logs, err := NewLogs(dir)
	if err != nil {
		t.Fatal(err)
	}
	w := logs.writer("catalog", "catalog/1")
	defer w.close()
	first, second := w.cutter(), w.cutter() // one process replaces the other
	for _, write := range []struct {
		by   *cutter
		text string
	}{{first, "one\ntw"}, {second, "new"}, {first, "o\r\nthr"}, {second, " process\n"}, {first, strings.Repeat("x", maxLine)}} {
		if n, err := write.by.Write([]byte(write.text)); n != len(write.text) || err != nil {
			t.Fatalf("write: %d, %v", n, err)
		}
	}
	first.flush()
	second.flush()
	if _, err := first.Write([]byte("panic")); err != nil {
		t.Fatal(err)
	}
	first.flush()
	var got []string
	for _, l := range logs.Tail("catalog/1", 10) {
		got = append(got, l.Text)
	}
	want := []string{"one", "two", "new process", "thr" + strings.Repeat("x", maxLine-3), "panic"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %.100q", got)
	}
	text, err := os.ReadFile(filepath.Join(dir, "catalog-1.log"))
	if err != nil || string(text) != strings.Join(want, "\n")+"\n" {
		t.Errorf("the file: %v, %.100q", err, text)
	}
}

// TestLinesAreText: what a process prints can be sent to whoever reads it, also
// where it is no text, or is cut in the middle of a letter.
func TestLinesAreText(t *testing.T) {
	logs, err := NewLogs(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := logs.writer("catalog", "catalog/1")
	defer w.close()
	long := "x" + strings.Repeat("ä", maxLine)
	if _, err := w.cutter().Write([]byte("caf\xe9 \xff\n" + long + "\nplain\n")); err != nil {
		t.Fatal(err)
	}
	got := logs.Tail("catalog/1", 10)
	if len(got) != 3 || got[0].Text != "caf\uFFFD \uFFFD" || got[2].Text != "plain" {
		t.Fatalf("got %.100q", got)
	}
	if !utf8.ValidString(got[1].Text) || !strings.HasPrefix(long, strings.TrimSuffix(got[1].Text, "\uFFFD")) {
		t.Errorf("a line that is cut ends with %q", got[1].Text[len(got[1].Text)-4:])
	}
}
