package telemetry_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/otel/trace"
	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren/telemetry"
)

// collector is an OTLP collector that remembers the names of spans.
type collector struct {
	collectorv1.UnimplementedTraceServiceServer
	mu    sync.Mutex
	names []string
}

func (c *collector) Export(_ context.Context, request *collectorv1.ExportTraceServiceRequest) (*collectorv1.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range request.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				c.names = append(c.names, span.GetName())
			}
		}
	}
	return &collectorv1.ExportTraceServiceResponse{}, nil
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var request collectorv1.ExportTraceServiceRequest
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = proto.Unmarshal(body, &request)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, fmt.Sprint(r.URL.Path, err), http.StatusBadRequest)
		return
	}
	answer, _ := c.Export(r.Context(), &request)
	raw, _ := proto.Marshal(answer)
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(raw)
}

func (c *collector) got() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.names, " ")
}

// serve lets the collector listen for gRPC on the address until stop.
func (c *collector) serve(t *testing.T, address string, opts ...grpc.ServerOption) (at string, stop func()) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(opts...)
	collectorv1.RegisterTraceServiceServer(server, c)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	return listener.Addr().String(), func() {
		server.Stop()
		<-done
	}
}

func span(tel *telemetry.Telemetry, name string) {
	_, span := tel.Tracer().Start(context.Background(), name, trace.SpanKindInternal)
	span.End()
}

func TestExportOverEveryScheme(t *testing.T) {
	var c collector
	insecure, stop := c.serve(t, "127.0.0.1:0")
	defer stop()
	plain := httptest.NewServer(&c)
	defer plain.Close()
	encrypted := httptest.NewTLSServer(&c)
	defer encrypted.Close()
	// The test server's certificate stands in for a public authority.
	roots := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: encrypted.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", roots)
	secure, stop := c.serve(t, "127.0.0.1:0", grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: encrypted.TLS.Certificates})))
	defer stop()

	for _, address := range []string{
		"otlp://" + insecure,
		"otlps://" + secure,
		"otlp+" + plain.URL,
		"otlp+" + encrypted.URL + "/v1/traces",
	} {
		tel, _ := open(t, telemetry.Options{Traces: address})
		span(tel, address)
		if err := tel.Close(t.Context()); err != nil {
			t.Errorf("close %s: %v", address, err)
		}
		if !strings.Contains(c.got(), address) {
			t.Errorf("nothing arrived at %s", address)
		}
	}
}

func TestCollectorOutage(t *testing.T) {
	var c collector
	address, stop := c.serve(t, "127.0.0.1:0")
	stop()
	tel, out := open(t, telemetry.Options{Traces: "otlp://" + address})
	for range 100 {
		span(tel, "lost")
	}
	_ = tel.Flush(t.Context())
	want := `
# HELP warren_traces_dropped_spans_total Spans lost because the queue was full or the collector away.
# TYPE warren_traces_dropped_spans_total counter
warren_traces_dropped_spans_total{reason="export"} 100
warren_traces_dropped_spans_total{reason="queue_full"} 0
`
	if err := testutil.GatherAndCompare(tel.Metrics(), strings.NewReader(want), "warren_traces_dropped_spans_total"); err != nil {
		t.Error(err)
	}
	if n := strings.Count(out.String(), "trace collector is away"); n != 1 {
		t.Errorf("the outage was logged %d times:\n%s", n, out)
	}
	// It comes back where it was; the process finds it by itself.
	_, stop = c.serve(t, address)
	defer stop()
	for deadline := time.Now().Add(30 * time.Second); c.got() == ""; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("the collector is back, but nothing arrives")
		}
		span(tel, "found")
		_ = tel.Flush(t.Context())
	}
	if err := tel.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if n := strings.Count(out.String(), "trace collector is back"); n != 1 {
		t.Errorf("the return was logged %d times", n)
	}
}

func TestBadCollectorURLs(t *testing.T) {
	for address, want := range map[string]string{
		"zipkin://host:9411":     `open trace exporter zipkin://host:9411: no driver for scheme "zipkin"; linked: otlp, otlp+http, otlp+https, otlps`,
		"otlp:":                  "open trace exporter otlp:: no host; write otlp://host:port",
		"otlp://host?compress=1": `open trace exporter otlp://host: unknown parameter "compress"; it takes none`,
		"otlp://host/v1/traces":  `open trace exporter otlp://host/v1/traces: path "/v1/traces" has no meaning over gRPC; did you mean otlp+http?`,
		"otlp+http://me:pw@host": "open trace exporter otlp+http://host: credentials in a URL are shown everywhere; set OTEL_EXPORTER_OTLP_HEADERS",
		"localhost":              "open trace exporter: the URL has no scheme, such as etcd://host or sqlite:file",
	} {
		if _, err := telemetry.Open(t.Context(), telemetry.Options{Traces: address, Output: io.Discard}); err == nil || err.Error() != want {
			t.Errorf("Open(%s): %v\nwant %s", address, err, want)
		}
	}
}

func TestProcessMetrics(t *testing.T) {
	tel, _ := open(t, telemetry.Options{Service: "catalog", Version: "v2"})
	families, err := tel.Metrics().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, family := range families {
		names = append(names, family.GetName())
	}
	for _, want := range []string{"go_goroutines", "process_open_fds", "warren_build_info", "warren_traces_dropped_spans_total"} {
		if !strings.Contains(strings.Join(names, " "), want) {
			t.Errorf("no %s among %v", want, names)
		}
	}
}
