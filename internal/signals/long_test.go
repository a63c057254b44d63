package signals_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

// Long lines come on more pages, and each of them can be sent.
func TestLongLines(t *testing.T) {
	w := open(t, t.TempDir())
	const lines = 100
	begin := time.Now().Add(-time.Minute)
	for n := range lines {
		at := begin.Add(time.Duration(n) * time.Millisecond)
		w.line("order/1", fmt.Sprintf(`{"time":"%s","level":"INFO","msg":"%d %s"}`, at.Format(time.RFC3339Nano), n, strings.Repeat("x", 60<<10)), at)
	}
	eventually(t, "the lines", func() bool {
		stats, err := w.traces.Stats(t.Context(), &observev1.StatsRequest{})
		return err == nil && stats.GetLines() == lines
	})
	var found []*observev1.LogLine
	req := &observev1.SearchLogsRequest{PageSize: lines}
	for {
		resp, err := w.logs.Search(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, resp.GetLines()...)
		if req.PageToken = resp.GetNextPageToken(); req.GetPageToken() == "" {
			break
		}
	}
	if len(found) != lines {
		t.Fatalf("%d lines", len(found))
	}
	for n, l := range found {
		if want := strconv.Itoa(lines-1-n) + " "; !strings.HasPrefix(l.GetMessage(), want) {
			t.Fatalf("line %d is %.10s", n, l.GetMessage())
		}
	}
	resp, err := w.logs.Around(t.Context(), &observev1.AroundLogsRequest{Id: found[50].GetId(), Lines: 90})
	if err != nil || len(resp.GetLines()) < 3 {
		t.Errorf("around: %d lines, %v", len(resp.GetLines()), err)
	}
}
