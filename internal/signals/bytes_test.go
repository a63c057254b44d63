package signals_test

import (
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

// What is no text, and what is cut off in the middle of a letter, can be looked at
// all the same, and so can all that was found with it.
func TestAnyBytes(t *testing.T) {
	w := open(t, t.TempDir())
	long := "x" + strings.Repeat("ä", 20_000)
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "caf\xe9")
	rs.Resource().Attributes().PutStr("service.version", "\xff")
	ss := rs.ScopeSpans().AppendEmpty()
	ss.Scope().SetName("scope\xff")
	s := ss.Spans().AppendEmpty()
	s.SetTraceID([16]byte{1})
	s.SetSpanID([8]byte{1})
	s.SetKind(ptrace.SpanKindServer)
	s.SetName(long)
	s.SetStartTimestamp(pcommon.NewTimestampFromTime(time.Now()))
	s.Status().SetMessage("broken \xff")
	s.Attributes().PutStr("note", long)
	s.Attributes().PutStr("bytes", "\xff\xfe")
	s.Attributes().PutStr("key\xff", "value")
	s.Attributes().PutStr("shop.order.id", "o-\xff")
	s.Attributes().PutEmptyMap("nested").PutStr("key\xff", "\xff")
	s.Events().AppendEmpty().SetName("event \xff")
	conn, err := grpc.NewClient(strings.TrimPrefix(w.URL(), "otlp://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := ptraceotlp.NewGRPCClient(conn).Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(td)); err != nil {
		t.Fatal(err)
	}
	w.AddLine("order\xff", "order/1", time.Now(), `{"msg":"caf`+"\xe9"+`","nested":{"a":"`+"\xff"+`"}}`)
	eventually(t, "the span and the line", func() bool {
		stats, err := w.traces.Stats(t.Context(), &observev1.StatsRequest{})
		return err == nil && stats.GetSpans() == 1 && stats.GetLines() == 1
	})
	found, err := w.traces.Search(t.Context(), &observev1.SearchTracesRequest{})
	if err != nil || len(found.GetTraces()) != 1 {
		t.Fatalf("search: %v, %v", found, err)
	}
	if _, err := w.traces.Get(t.Context(), &observev1.GetTraceRequest{TraceId: found.GetTraces()[0].GetTraceId()}); err != nil {
		t.Errorf("the trace: %v", err)
	}
	if _, err := w.traces.Names(t.Context(), &observev1.NamesRequest{}); err != nil {
		t.Errorf("the names: %v", err)
	}
	if _, err := w.traces.Topology(t.Context(), &observev1.TopologyRequest{}); err != nil {
		t.Errorf("the topology: %v", err)
	}
	if lines, err := w.logs.Search(t.Context(), &observev1.SearchLogsRequest{Facets: true}); err != nil || len(lines.GetLines()) != 1 {
		t.Errorf("the lines: %v, %v", lines, err)
	}
}
