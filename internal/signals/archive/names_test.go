package archive_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/gowarren/warren/internal/signals/archive"
	"github.com/gowarren/warren/internal/signals/segment"
)

// One service that makes up the names of its spans hides no other, and the list of
// names stays one that can be sent.
func TestNamesWithoutEnd(t *testing.T) {
	clock := newClock(time.Now())
	a := open(t, t.TempDir(), func(o *archive.Options) { o.Now = clock.now })
	for range 3 {
		td := ptrace.NewTraces()
		spans := td.ResourceSpans().AppendEmpty()
		spans.Resource().Attributes().PutStr("service.name", "babbler")
		all := spans.ScopeSpans().AppendEmpty().Spans()
		for i := range 6000 {
			s := all.AppendEmpty()
			s.SetTraceID([16]byte{1, byte(i), byte(i >> 8)})
			s.SetSpanID([8]byte{1, byte(i), byte(i >> 8)})
			s.SetName(fmt.Sprintf("GET /%s/%d-%d", strings.Repeat("x", 400), clock.now().Unix(), i))
			s.SetStartTimestamp(stamp(clock.now()))
		}
		before := a.Stats().Spans
		if err := a.AddTraces(td); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the spans to be written", func() bool { return a.Stats().Spans == before+6000 })
		add(t, a, call{trace: 200, service: "order", name: "Place", start: clock.now()})
		clock.forward(time.Hour)
	}
	found, err := a.Operations()
	if err != nil {
		t.Fatal(err)
	}
	size, order := 0, false
	for _, o := range found {
		size += len(o.Service) + len(o.Name)
		order = order || o == segment.Operation{Service: "order", Name: "Place"}
	}
	if size > 3<<20 || !order {
		t.Errorf("%d names of %d KiB; that of another service is there: %v", len(found), size>>10, order)
	}
}
