package signals_test

import (
	"fmt"
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

// Names of nodes that a sender makes up make the picture no larger than can be sent.
func TestTopologyWithoutEnd(t *testing.T) {
	w := open(t, t.TempDir())
	conn, err := grpc.NewClient(strings.TrimPrefix(w.URL(), "otlp://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const each, messages = 5000, 4
	for m := range messages {
		td := ptrace.NewTraces()
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", "crawler")
		spans := rs.ScopeSpans().AppendEmpty().Spans()
		for i := range each {
			s := spans.AppendEmpty()
			s.SetTraceID([16]byte{1, byte(m), byte(i), byte(i >> 8)})
			s.SetSpanID([8]byte{1, byte(m), byte(i), byte(i >> 8)})
			s.SetKind(ptrace.SpanKindClient)
			s.SetStartTimestamp(pcommon.NewTimestampFromTime(time.Now()))
			s.Attributes().PutStr("db.system.name", "postgresql")
			s.Attributes().PutStr("server.address", fmt.Sprintf("%s-%d-%d.example.com", strings.Repeat("x", 60), m, i))
		}
		if _, err := ptraceotlp.NewGRPCClient(conn).Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(td)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the spans", func() bool {
		stats, err := w.traces.Stats(t.Context(), &observev1.StatsRequest{})
		return err == nil && stats.GetSpans() == each*messages
	})
	resp, err := w.traces.Topology(t.Context(), &observev1.TopologyRequest{})
	if err != nil || !resp.GetTruncated() || len(resp.GetEdges()) == 0 || len(resp.GetNodes()) == 0 {
		t.Errorf("%d edges, %d nodes, cut off: %v, %v", len(resp.GetEdges()), len(resp.GetNodes()), resp.GetTruncated(), err)
	}
}
