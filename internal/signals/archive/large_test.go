package archive_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/gowarren/warren/internal/signals/segment"
)

// A trace that is small on disk and large in memory is read in part.
func TestTraceThatWouldFillTheMemory(t *testing.T) {
	const rounds, each, attributes = 8, 40, 12
	a := open(t, t.TempDir(), nil)
	text := strings.Repeat("x", 30<<10)
	for round := range rounds {
		td := ptrace.NewTraces()
		spans := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans()
		for i := range each {
			s := spans.AppendEmpty()
			s.SetTraceID([16]byte{1, 1})
			s.SetSpanID([8]byte{byte(round), byte(i), 1})
			s.SetStartTimestamp(stamp(time.Now()))
			for n := range attributes {
				s.Attributes().PutStr(fmt.Sprintf("a%d", n), text)
			}
		}
		if err := a.AddTraces(td); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all to be written", func() bool { return a.Stats().Spans == rounds*each })
	summary, chunks, err := a.Trace(segment.ID{1, 1})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, td := range chunks {
		n += td.SpanCount()
	}
	if bytes := n * attributes * len(text); bytes > 80<<20 || !summary.Truncated || n == 0 {
		t.Errorf("%d spans of %d MiB are read, cut off: %v", n, bytes>>20, summary.Truncated)
	}
}
