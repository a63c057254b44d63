package signals_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/signals"
)

const patience = 30 * time.Second // for a loaded machine

// world is a running store and clients of its services.
type world struct {
	*signals.Signals
	traces observev1.TraceServiceClient
	logs   observev1.LogServiceClient
}

func open(t *testing.T, dir string) *world {
	t.Helper()
	s, err := signals.Open(t.Context(), signals.Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Patience: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	server := grpc.NewServer()
	s.Register(server)
	l := bufconn.Listen(1 << 20)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:///signals", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &world{s, observev1.NewTraceServiceClient(conn), observev1.NewLogServiceClient(conn)}
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
	for !done() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited for %s", what)
		}
	}
}

// tracer is that of a service of its own, which sends as services do.
func (w *world) tracer(t *testing.T, service, version string) (tracer trace.Tracer, flush func()) {
	t.Helper()
	exporter, err := otlptracegrpc.New(t.Context(), otlptracegrpc.WithEndpointURL(strings.Replace(w.URL(), "otlp", "http", 1)), otlptracegrpc.WithInsecure())
	if err != nil {
		t.Fatal(err)
	}
	p := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(resource.NewSchemaless(
		attribute.String("service.name", service), attribute.String("service.version", version), attribute.String("service.instance.id", service+"/1"))))
	return p.Tracer("test"), func() {
		if err := p.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}
}

// checkout is an order as a gateway, two versions of a service, a database, a
// topic and a listener make it.
func (w *world) checkout(t *testing.T, version string, failed bool) string {
	t.Helper()
	gateway, flushGateway := w.tracer(t, "gateway", "v1")
	order, flushOrder := w.tracer(t, "order", version)
	shipping, flushShipping := w.tracer(t, "shipping", "v1")
	ctx, root := gateway.Start(t.Context(), "POST /v1/orders", trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attribute.String("http.route", "/v1/orders")))
	ctx, client := gateway.Start(ctx, "Place", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attribute.String("warren.instance", "order/1")))
	ctx, server := order.Start(ctx, "Place", trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("shop.order.id", "o-"+version), attribute.String("warren.txn.gid", "g-"+version), attribute.Int64("amount", 9007199254740993)))
	_, query := order.Start(ctx, "INSERT orders", trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("db.system.name", "sqlite"), attribute.String("db.namespace", "order")))
	query.End()
	_, publish := order.Start(ctx, "publish placed", trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(attribute.String("messaging.destination.name", "placed")))
	publish.End()
	_, handle := shipping.Start(t.Context(), "process placed", trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithLinks(trace.Link{SpanContext: publish.SpanContext()}), trace.WithAttributes(attribute.String("messaging.destination.name", "placed")))
	handle.End()
	if failed {
		server.SetStatus(otelcodes.Error, "no stock")
		client.SetStatus(otelcodes.Error, "no stock")
	}
	server.AddEvent("retry", trace.WithAttributes(attribute.Bool("again", true)))
	server.End()
	client.End()
	root.End()
	flushShipping() // in the wrong order
	flushOrder()
	flushGateway()
	return root.SpanContext().TraceID().String()
}

// Who calls whom comes out as it was, from what real exporters send.
func TestTopology(t *testing.T) {
	w := open(t, t.TempDir())
	w.checkout(t, "v1", false)
	w.checkout(t, "v2", true)
	type edge struct {
		from, to      string
		calls, errors int64
		versions      string
	}
	want := []edge{
		{"service:gateway", "service:order", 2, 1, "v1:1 v2:1"},
		{"service:order", "database:sqlite/order", 2, 0, ""},
		{"service:order", "topic:placed", 2, 0, ""},
		{"topic:placed", "service:shipping", 2, 0, "v1:2"},
	}
	var got []edge
	var resp *observev1.TopologyResponse
	eventually(t, "all calls", func() bool {
		var err error
		if resp, err = w.traces.Topology(t.Context(), &observev1.TopologyRequest{}); err != nil {
			t.Fatal(err)
		}
		got = nil
		for _, e := range resp.GetEdges() {
			var versions []string
			for _, v := range e.GetVersions() {
				versions = append(versions, fmt.Sprintf("%s:%d", v.GetVersion(), v.GetCalls()))
			}
			got = append(got, edge{e.GetFrom(), e.GetTo(), e.GetCalls(), e.GetErrors(), strings.Join(versions, " ")})
		}
		return slices.Equal(got, want)
	})
	var nodes []string
	for _, n := range resp.GetNodes() {
		nodes = append(nodes, n.GetId()+" "+n.GetKind().String())
	}
	if diff := cmp.Diff([]string{
		"database:sqlite/order NODE_KIND_DATABASE", "service:gateway NODE_KIND_SERVICE", "service:order NODE_KIND_SERVICE",
		"service:shipping NODE_KIND_SERVICE", "topic:placed NODE_KIND_TOPIC",
	}, nodes); diff != "" {
		t.Error(diff)
	}
	if resp, err := w.traces.Topology(t.Context(), &observev1.TopologyRequest{Services: []string{"shipping"}}); err != nil || len(resp.GetEdges()) != 1 {
		t.Errorf("around shipping: %v %v", resp.GetEdges(), err)
	}
}

// A trace is found by what it is about, shown in order, and there again after a
// restart.
func TestTrace(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir)
	id := w.checkout(t, "v1", true)
	var found *observev1.SearchTracesResponse
	look := func() bool {
		var err error
		found, err = w.traces.Search(t.Context(), &observev1.SearchTracesRequest{OrderId: "o-v1", ErrorsOnly: true, Service: "gateway"})
		if err != nil {
			t.Fatal(err)
		}
		return len(found.GetTraces()) == 1 && found.GetTraces()[0].GetSpans() == 5
	}
	eventually(t, "the trace", look)
	s := found.GetTraces()[0]
	if s.GetTraceId() != id || s.GetService() != "gateway" || s.GetName() != "POST /v1/orders" || s.GetErrors() != 2 || s.GetGid() != "g-v1" || s.GetRootless() {
		t.Errorf("summary %v", s)
	}
	for range 2 {
		resp, err := w.traces.Get(t.Context(), &observev1.GetTraceRequest{TraceId: strings.ToUpper(id)})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, span := range resp.GetSpans() {
			names = append(names, fmt.Sprintf("%d %s", span.GetDepth(), span.GetName()))
		}
		if diff := cmp.Diff([]string{"0 POST /v1/orders", "1 Place", "2 Place", "3 INSERT orders", "3 publish placed"}, names); diff != "" {
			t.Error(diff)
		}
		server := resp.GetSpans()[2]
		if r := resp.GetResources()[server.GetResource()]; r.GetInstance() != "order/1" || r.GetVersion() != "v1" {
			t.Errorf("resource %v", r)
		}
		if server.GetStatusMessage() != "no stock" || len(server.GetEvents()) != 1 || !server.GetCritical() {
			t.Errorf("span %v", server)
		}
		if a := server.GetAttributes()[0]; a.GetKey() != "amount" || a.GetInteger() != 9007199254740993 {
			t.Errorf("attribute %v", a)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		w = open(t, dir)
		if !look() {
			t.Fatal("the trace is gone after a restart")
		}
	}
	names, err := w.traces.Names(t.Context(), &observev1.NamesRequest{})
	if err != nil || len(names.GetServices()) != 3 || names.GetServices()[0].GetOperations()[0] != "POST /v1/orders" {
		t.Errorf("names %v %v", names, err)
	}
	if _, err := w.traces.Get(t.Context(), &observev1.GetTraceRequest{TraceId: strings.Repeat("a", 32)}); status.Code(err) != codes.NotFound {
		t.Errorf("an unknown trace: %v", err)
	}
	for _, bad := range []*observev1.SearchTracesRequest{{PageToken: "!"}, {PageToken: "-5"}} {
		if _, err := w.traces.Search(t.Context(), bad); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%v: %v", bad, err)
		}
	}
	slow, err := w.traces.Search(t.Context(), &observev1.SearchTracesRequest{MinDuration: durationpb.New(time.Hour)})
	if err != nil || len(slow.GetTraces()) != 0 {
		t.Errorf("%v %v", slow, err)
	}
}

func (w *world) line(instance, text string, at time.Time) {
	service, _, _ := strings.Cut(instance, "/")
	w.AddLine(service, instance, at, text)
}

func messages(lines []*observev1.LogLine) (out []string) {
	for _, l := range lines {
		out = append(out, l.GetMessage())
	}
	return out
}

func TestLogs(t *testing.T) {
	w := open(t, t.TempDir())
	begin := time.Now().Add(-time.Minute)
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	for i, l := range []struct{ instance, text string }{
		{"order/1", `{"time":"%s","level":"INFO","msg":"Placed order","order_id":"o-17","service":"order","amount":12}`},
		{"order/2", `{"time":"%s","level":"WARN","msg":"no stock","trace_id":"` + id + `","span_id":"00f067aa0ba902b7","nested":{"a":[1]}}`},
		{"order/1", `{"time":"%s","level":"ERROR","msg":"Überlauf: stock no","retry":true}`},
		{"payment/1", `{"time":"%s","level":"DEBUG","msg":"charged"}`},
		{"payment/1", "panic: runtime error"},
		{"payment/1", "goroutine 1 [running]:"},
	} {
		at := begin.Add(time.Duration(i) * time.Second)
		text := l.text
		if strings.Contains(text, "%s") {
			text = fmt.Sprintf(text, at.Format(time.RFC3339Nano))
		}
		w.line(l.instance, text, at)
	}
	search := func(f *observev1.LogFilter) (resp *observev1.SearchLogsResponse) {
		eventually(t, "a search that looks at everything in its time", func() (whole bool) {
			var err error
			if resp, err = w.logs.Search(t.Context(), &observev1.SearchLogsRequest{Filter: f, Facets: true}); err != nil {
				t.Fatal(err)
			}
			return !resp.GetPartial() && !resp.GetFacetsPartial()
		})
		return resp
	}
	eventually(t, "the lines", func() bool { return len(search(nil).GetLines()) == 6 })
	for _, c := range []struct {
		filter *observev1.LogFilter
		want   []string
	}{
		{&observev1.LogFilter{Query: "stock no"}, []string{"Überlauf: stock no", "no stock"}},
		{&observev1.LogFilter{Query: `"no stock"`}, []string{"no stock"}},
		{&observev1.LogFilter{Query: "stock -uberlauf"}, []string{"no stock"}},
		{&observev1.LogFilter{Query: "ORDER_ID o-17"}, []string{"Placed order"}},
		{&observev1.LogFilter{Query: "plac*"}, []string{"Placed order"}},
		{&observev1.LogFilter{Query: "nowhere"}, nil},
		{&observev1.LogFilter{Services: []string{"order"}, MinLevel: observev1.LogLevel_LOG_LEVEL_WARN}, []string{"Überlauf: stock no", "no stock"}},
		{&observev1.LogFilter{MinLevel: observev1.LogLevel_LOG_LEVEL_ERROR}, []string{"panic: runtime error", "Überlauf: stock no"}},
		{&observev1.LogFilter{Instances: []string{"order/2"}}, []string{"no stock"}},
		{&observev1.LogFilter{Services: []string{"nobody"}}, nil},
		{&observev1.LogFilter{TraceId: id}, []string{"no stock"}},
		{&observev1.LogFilter{TraceId: id, Query: "charged"}, nil},
	} {
		resp := search(c.filter)
		if diff := cmp.Diff(c.want, messages(resp.GetLines())); diff != "" {
			t.Errorf("%v: %s", c.filter, diff)
		}
		var counted int64
		for _, b := range resp.GetHistogram() {
			counted += b.GetDebug() + b.GetInfo() + b.GetWarn() + b.GetError()
		}
		if counted != int64(len(c.want)) {
			t.Errorf("%v: histogram counts %d", c.filter, counted)
		}
	}
	if f := search(nil).GetFacets(); len(f) != 3 || f[0].GetName() != "service" || f[0].GetValues()[0].GetLines() != 3 {
		t.Errorf("facets %v", f)
	}
	for _, query := range []string{`"open`, "-only -not", "stock" + strings.Repeat(" -never", 300), strings.Repeat("a* ", 1000)} {
		if _, err := w.logs.Search(t.Context(), &observev1.SearchLogsRequest{Filter: &observev1.LogFilter{Query: query}}); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", query, err)
		}
	}
	w.around(t, search(&observev1.LogFilter{Query: "charged"}).GetLines()[0])
}

func (w *world) around(t *testing.T, line *observev1.LogLine) {
	t.Helper()
	resp, err := w.logs.Around(t.Context(), &observev1.AroundLogsRequest{Id: line.GetId(), Lines: 1, AllInstances: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Überlauf: stock no", "charged", "panic: runtime error"}, messages(resp.GetLines())); diff != "" {
		t.Error(diff)
	}
	resp, err = w.logs.Around(t.Context(), &observev1.AroundLogsRequest{Id: line.GetId(), Lines: 5})
	if err != nil || len(resp.GetLines()) != 3 {
		t.Errorf("around, of one instance: %v %v", messages(resp.GetLines()), err)
	}
	for _, id := range []string{"x", "1.2", ""} {
		if _, err := w.logs.Around(t.Context(), &observev1.AroundLogsRequest{Id: id}); status.Code(err) != codes.NotFound {
			t.Errorf("around %q: %v", id, err)
		}
	}
}

// A tail begins with the last lines, and goes on with those that match.
func TestTail(t *testing.T) {
	w := open(t, t.TempDir())
	w.line("order/1", "one fish", time.Now())
	w.line("order/1", "one bird", time.Now())
	eventually(t, "the first lines", func() bool {
		resp, err := w.logs.Search(t.Context(), &observev1.SearchLogsRequest{})
		return err == nil && len(resp.GetLines()) == 2
	})
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	stream, err := w.logs.Tail(ctx, &observev1.TailLogsRequest{Filter: &observev1.LogFilter{Query: "fish"}, Last: 10})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"one fish", "two fish"} {
		resp, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if resp.GetLine().GetMessage() != want {
			t.Errorf("line %d is %q", i, resp.GetLine().GetMessage())
		}
		w.line("order/1", "two birds", time.Now())
		w.line("order/1", "two fish", time.Now())
	}
}
