package archive_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/gowarren/warren/internal/signals/archive"
)

// spanOf adds a span of a service to a message.
func spanOf(td ptrace.Traces, service, name string, kind ptrace.SpanKind, id, parent byte, attrs map[string]any) ptrace.Span {
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", service)
	s := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	s.SetTraceID([16]byte{1, 1})
	s.SetSpanID([8]byte{id})
	if parent != 0 {
		s.SetParentSpanID([8]byte{parent})
	}
	s.SetName(name)
	s.SetKind(kind)
	s.SetStartTimestamp(stamp(time.Now()))
	s.SetEndTimestamp(stamp(time.Now().Add(20 * time.Millisecond)))
	_ = s.Attributes().FromRaw(attrs)
	return s
}

const (
	server   = ptrace.SpanKindServer
	client   = ptrace.SpanKindClient
	producer = ptrace.SpanKindProducer
	consumer = ptrace.SpanKindConsumer
)

// Who calls whom is there as metrics, which alerts and charts are made of.
func TestServiceGraph(t *testing.T) {
	registry := prometheus.NewRegistry()
	a := open(t, t.TempDir(), func(o *archive.Options) { o.Metrics = registry })
	td := ptrace.NewTraces()
	spanOf(td, "gateway", "GET /", server, 1, 0, nil)
	spanOf(td, "gateway", "Place", client, 2, 1, map[string]any{"warren.instance": "order/1"})
	spanOf(td, "order", "Place", server, 3, 2, nil).Status().SetCode(ptrace.StatusCodeError)
	spanOf(td, "order", "insert", client, 4, 3, map[string]any{"db.system.name": "sqlite", "db.namespace": "order.db"})
	spanOf(td, "order", "send", producer, 5, 3, map[string]any{"messaging.destination.name": "placed"})
	spanOf(td, "shipping", "process", consumer, 6, 5, map[string]any{"messaging.destination.name": "placed"})
	if err := a.AddTraces(td); err != nil {
		t.Fatal(err)
	}
	const want = `
# HELP traces_service_graph_request_total Calls from one node to another, as recorded traces have shown them.
# TYPE traces_service_graph_request_total counter
traces_service_graph_request_total{client="gateway",connection_type="",failed="false",server="order"} 0
traces_service_graph_request_total{client="gateway",connection_type="",failed="true",server="order"} 1
traces_service_graph_request_total{client="order",connection_type="database",failed="false",server="sqlite/order.db"} 1
traces_service_graph_request_total{client="order",connection_type="database",failed="true",server="sqlite/order.db"} 0
traces_service_graph_request_total{client="order",connection_type="messaging_system",failed="false",server="placed"} 1
traces_service_graph_request_total{client="order",connection_type="messaging_system",failed="true",server="placed"} 0
traces_service_graph_request_total{client="placed",connection_type="messaging_system",failed="false",server="shipping"} 1
traces_service_graph_request_total{client="placed",connection_type="messaging_system",failed="true",server="shipping"} 0
traces_service_graph_request_total{client="user",connection_type="virtual_node",failed="false",server="gateway"} 1
traces_service_graph_request_total{client="user",connection_type="virtual_node",failed="true",server="gateway"} 0
`
	var err error
	eventually(t, "the calls to be counted", func() bool {
		err = testutil.GatherAndCompare(registry, strings.NewReader(want), "traces_service_graph_request_total")
		return err == nil
	})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "traces_service_graph_request_client_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			h := m.GetHistogram()
			if h.GetSampleCount() != 1 || h.GetSampleSum() < 0.015 || h.GetSampleSum() > 0.025 || h.GetBucket()[1].GetCumulativeCount() != 0 || h.GetBucket()[2].GetCumulativeCount() != 1 {
				t.Errorf("a call of 20 ms is in %v", h)
			}
		}
	}
}

// Names that a sender makes up do not become series without end.
func TestServiceGraphIsBounded(t *testing.T) {
	registry := prometheus.NewRegistry()
	a := open(t, t.TempDir(), func(o *archive.Options) { o.Metrics = registry })
	const names = 2000
	td := ptrace.NewTraces()
	for i := range names {
		s := spanOf(td, fmt.Sprintf("made-up-%d", i), "GET /", server, 1, 0, nil)
		s.SetTraceID([16]byte{7, byte(i), byte(i >> 8)})
	}
	if err := a.AddTraces(td); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all calls to be counted", func() bool {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		series, calls := 0, 0.0
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if f.GetName() == "traces_service_graph_request_total" {
					series++
					calls += m.GetCounter().GetValue()
				}
			}
		}
		if series > 700 {
			t.Fatalf("%d series", series)
		}
		return calls == names
	})
}

// Databases are told apart by their server, or by the service whose file it is.
func TestDatabaseNodes(t *testing.T) {
	a := open(t, t.TempDir(), nil)
	td := ptrace.NewTraces()
	for i, c := range []struct {
		service string
		attrs   map[string]any
	}{
		{"order", map[string]any{"db.system.name": "sqlite", "db.namespace": "main"}},
		{"payment", map[string]any{"db.system.name": "sqlite", "db.namespace": "main"}},
		{"catalog", map[string]any{"db.system.name": "sqlite", "db.namespace": "catalog-1.db"}},
		{"catalog", map[string]any{"db.system.name": "postgresql", "db.namespace": "shop", "server.address": "db.example.com", "server.port": 5432}},
		{"order", map[string]any{"db.system.name": "postgresql", "db.namespace": "shop", "server.address": "db.example.com", "server.port": 5432}},
		{"legacy", map[string]any{"db.system": "redis"}},
	} {
		spanOf(td, c.service, "query", client, byte(i+1), 0, c.attrs)
	}
	if err := a.AddTraces(td); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"service:catalog database:postgresql/db.example.com:5432/shop", "service:catalog database:sqlite/catalog-1.db", "service:legacy database:redis/legacy",
		"service:order database:postgresql/db.example.com:5432/shop", "service:order database:sqlite/order/main", "service:payment database:sqlite/payment/main",
	}
	eventually(t, "the edges", func() bool { return slices.Equal(edges(t, a), want) })
}

func edges(t *testing.T, a *archive.Archive) (out []string) {
	t.Helper()
	calls, err := a.Calls(0, 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range calls {
		out = append(out, c.Origin+" "+c.Target)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Who only asks whether somebody lives is neither a trace nor an edge.
func TestProbesAreNotKept(t *testing.T) {
	a := open(t, t.TempDir(), nil)
	td := ptrace.NewTraces()
	probe := func(trace byte, spans ...ptrace.Span) {
		for _, s := range spans {
			s.SetTraceID([16]byte{trace, 1})
		}
	}
	probe(2, spanOf(td, "order", "grpc.health.v1.Health/Check", server, 1, 0, nil), spanOf(td, "order", "select", client, 2, 1, map[string]any{"db.system.name": "sqlite"}))
	probe(3, spanOf(td, "order", "GET /readyz", server, 1, 0, map[string]any{"http.route": "/readyz"}), spanOf(td, "order", "ping", client, 3, 2, nil), spanOf(td, "order", "inner", 1, 2, 1, nil))
	probe(4, spanOf(td, "proxy", "GET", client, 1, 0, map[string]any{"url.path": "/healthz?full"}))
	probe(5, spanOf(td, "old", "check", server, 1, 0, map[string]any{"rpc.service": "grpc.health.v1.Health", "rpc.method": "Watch"}))
	// One within a trace of somebody else goes with its children, and nothing else.
	probe(6, spanOf(td, "order", "Place", server, 1, 0, nil), spanOf(td, "order", "/grpc.health.v1.Health/Check", client, 2, 1, nil),
		spanOf(td, "payment", "/grpc.health.v1.Health/Check", server, 3, 2, nil), spanOf(td, "order", "metrics", 1, 4, 1, map[string]any{"url.path": "/metrics"}))
	probe(7, spanOf(td, "catalog", "GET /v1/health", server, 1, 0, map[string]any{"http.route": "/v1/health"}))
	if err := a.AddTraces(td); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the rest to be written", func() bool { return a.Stats().Spans == 3 })
	if n := a.Stats().Dropped["probe"].Spans; n != 9 {
		t.Errorf("%d spans are counted as probes, want 9", n)
	}
	found := search(t, a, archive.TraceSearch{})
	if slices.Sort(found); !slices.Equal(found, []byte{6, 7}) {
		t.Errorf("found %v", found)
	}
	for _, e := range edges(t, a) {
		if !strings.HasPrefix(e, " ") { // calls from outside only
			t.Errorf("an edge: %s", e)
		}
	}
}
