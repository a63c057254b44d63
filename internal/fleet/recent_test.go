package fleet

import (
	"strconv"
	"testing"
)

func TestLastLinesAreKept(t *testing.T) {
	logs, err := NewLogs(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := logs.writer("catalog", "catalog/1")
	defer w.close()
	for n := range 2*keptLines + 7 {
		w.line([]byte(strconv.Itoa(n)))
	}
	for n, first := range map[int]int{3: 2*keptLines + 4, keptLines: keptLines + 7, 5 * keptLines: keptLines + 7} {
		got := logs.Tail("catalog/1", n)
		if len(got) != min(n, keptLines) {
			t.Fatalf("the last %d: %d lines", n, len(got))
		}
		for i, line := range got {
			if line.Text != strconv.Itoa(first+i) {
				t.Fatalf("the last %d: line %d is %s", n, i, line.Text)
			}
		}
	}
	if got := logs.Tail("nobody", 3); len(got) != 0 {
		t.Errorf("of nobody: %v", got)
	}
}

// BenchmarkLines is what a line costs of an instance that has printed many.
func BenchmarkLines(b *testing.B) {
	logs, err := NewLogs(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	line := Line{Service: "catalog", Instance: "catalog/1", Text: "a line"}
	for b.Loop() {
		logs.add(line)
	}
}
