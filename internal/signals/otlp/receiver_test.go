package otlp_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/gowarren/warren/internal/signals/otlp"
)

// kept is a sink that keeps what comes.
type kept struct {
	mu     sync.Mutex
	traces []ptrace.Traces
	logs   []plog.Logs
	err    error
	wait   chan struct{}
}

func (k *kept) AddTraces(td ptrace.Traces) error {
	if k.wait != nil {
		<-k.wait
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.traces = append(k.traces, td)
	return k.err
}

func (k *kept) AddLogs(ld plog.Logs) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.logs = append(k.logs, ld)
	return k.err
}

func (k *kept) spans() []ptrace.Span {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []ptrace.Span
	for _, td := range k.traces {
		for _, rs := range td.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, s := range ss.Spans().All() {
					out = append(out, s)
				}
			}
		}
	}
	return out
}

func listen(t *testing.T, opts otlp.Options) *otlp.Receiver {
	t.Helper()
	r, err := otlp.Listen(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// What the exporters of OpenTelemetry's SDK send arrives, with its ids.
func TestRealExporters(t *testing.T) {
	sink := &kept{}
	r := listen(t, otlp.Options{Sink: sink})
	overGRPC, err := otlptracegrpc.New(t.Context(), otlptracegrpc.WithEndpoint(r.GRPC()), otlptracegrpc.WithInsecure(),
		otlptracegrpc.WithCompressor("gzip"))
	if err != nil {
		t.Fatal(err)
	}
	overHTTP, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpoint(r.HTTP()), otlptracehttp.WithInsecure(),
		otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for name, exporter := range map[string]sdktrace.SpanExporter{"grpc": overGRPC, "http": overHTTP} {
		provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
		_, span := provider.Tracer("test").Start(t.Context(), name, trace.WithSpanKind(trace.SpanKindServer))
		span.End()
		want[name] = span.SpanContext().TraceID().String()
		if err := provider.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	got := sink.spans()
	if len(got) != len(want) {
		t.Fatalf("%d spans, want %d", len(got), len(want))
	}
	for _, s := range got {
		if s.TraceID().String() != want[s.Name()] || s.Kind() != ptrace.SpanKindServer {
			t.Errorf("%s: trace %s, want %s", s.Name(), s.TraceID(), want[s.Name()])
		}
	}
}

const body = `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"s"}}]},
	"scopeSpans":[{"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"n","kind":2,
	"startTimeUnixNano":"1544712660000000000","endTimeUnixNano":"1544712661000000000","later":"unknown"},{"name":"without ids"}]}]}]}`

func post(t *testing.T, r *otlp.Receiver, path, media, encoding string, content []byte) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.HTTP()+path, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", media)
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

func zipped(content []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(content)
	_ = w.Close()
	return b.Bytes()
}

// Ids in JSON are hexadecimal; spans nobody can keep are told.
func TestJSON(t *testing.T) {
	sink := &kept{}
	r := listen(t, otlp.Options{Sink: sink})
	resp, text := post(t, r, "/v1/traces", "application/json; charset=utf-8", "", []byte(body))
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/json" || !strings.Contains(text, `"rejectedSpans":"1"`) {
		t.Errorf("%s: %s", resp.Status, text)
	}
	if s := sink.spans()[0]; s.TraceID().String() != "5b8efff798038103d269b633813fc60c" || s.SpanID().String() != "eee19b7ec3c1b174" {
		t.Errorf("ids %s %s", s.TraceID(), s.SpanID())
	}
	resp, text = post(t, r, "/v1/logs", "application/json", "gzip", zipped([]byte(
		`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":"5b8efff798038103d269b633813fc60c","body":{"stringValue":"hello"}}]}]}]}`)))
	if resp.StatusCode != http.StatusOK || len(sink.logs) != 1 {
		t.Fatalf("%s: %s", resp.Status, text)
	}
	record := sink.logs[0].ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0)
	if record.TraceID().String() != "5b8efff798038103d269b633813fc60c" || record.Body().AsString() != "hello" {
		t.Errorf("record %s %s", record.TraceID(), record.Body().AsString())
	}
}

func TestRefused(t *testing.T) {
	const most = 4096
	r := listen(t, otlp.Options{Sink: &kept{}, MaxBytes: most})
	large := []byte(strings.Repeat(" ", most+1))
	for name, c := range map[string]struct {
		path, media, encoding string
		content               []byte
		want                  int
	}{
		"no JSON":             {"/v1/traces", "application/json", "", []byte("{"), http.StatusBadRequest},
		"a short id":          {"/v1/traces", "application/json", "", []byte(strings.Replace(body, "5b8e", "", 1)), http.StatusBadRequest},
		"no protobuf":         {"/v1/traces", "application/x-protobuf", "", []byte("hello"), http.StatusBadRequest},
		"no gzip":             {"/v1/traces", "application/json", "gzip", []byte(body), http.StatusBadRequest},
		"half a gzip":         {"/v1/traces", "application/json", "gzip", zipped([]byte(body))[:30], http.StatusBadRequest},
		"other compression":   {"/v1/traces", "application/json", "br", []byte(body), http.StatusUnsupportedMediaType},
		"other media type":    {"/v1/traces", "text/plain", "", []byte(body), http.StatusUnsupportedMediaType},
		"no media type":       {"/v1/logs", "", "", []byte(body), http.StatusUnsupportedMediaType},
		"too much":            {"/v1/traces", "application/json", "", large, http.StatusRequestEntityTooLarge},
		"too much, in little": {"/v1/logs", "application/json", "gzip", zipped(bytes.Repeat(large, 1000)), http.StatusRequestEntityTooLarge},
		"another path":        {"/v1/other", "application/json", "", []byte(body), http.StatusNotFound},
		"good":                {"/v1/traces", "application/json", "gzip", zipped([]byte(body)), http.StatusOK},
	} {
		resp, text := post(t, r, c.path, c.media, c.encoding, c.content)
		if resp.StatusCode != c.want {
			t.Errorf("%s: %s %s, want %d", name, resp.Status, text, c.want)
		}
	}
}

func dial(t *testing.T, r *otlp.Receiver) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(r.GRPC(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// A sender that is to come again is told when; one whose spans are nonsense,
// not to.
func TestShed(t *testing.T) {
	sink := &kept{err: otlp.ErrBusy}
	r := listen(t, otlp.Options{Sink: sink})
	resp, _ := post(t, r, "/v1/traces", "application/json", "", []byte(body))
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" {
		t.Errorf("over HTTP: %s, Retry-After %q", resp.Status, resp.Header.Get("Retry-After"))
	}
	_, err := plogotlp.NewGRPCClient(dial(t, r)).Export(t.Context(), plogotlp.NewExportRequest())
	st := status.Convert(err)
	if st.Code() != codes.ResourceExhausted || len(st.Details()) != 1 {
		t.Fatalf("over gRPC: %v %v", err, st.Details())
	}
	if info, ok := st.Details()[0].(*errdetails.RetryInfo); !ok || info.GetRetryDelay().AsDuration() <= 0 {
		t.Errorf("over gRPC: %v", st.Details())
	}
}

// When the sink hangs, senders get their answer all the same.
func TestHangingSink(t *testing.T) {
	sink := &kept{wait: make(chan struct{})}
	r := listen(t, otlp.Options{Sink: sink})
	defer close(sink.wait)
	client := ptraceotlp.NewGRPCClient(dial(t, r))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	refused := make(chan error, 1)
	for range 100 {
		go func() {
			_, err := client.Export(ctx, ptraceotlp.NewExportRequest())
			if status.Code(err) == codes.ResourceExhausted {
				select {
				case refused <- err:
				default:
				}
			}
		}()
	}
	select {
	case <-refused:
	case <-time.After(30 * time.Second):
		t.Error("nobody was refused")
	}
}

// Who names no host means this machine.
func TestLoopback(t *testing.T) {
	r := listen(t, otlp.Options{Sink: &kept{}, GRPC: ":0", HTTP: ""})
	for _, address := range []string{r.GRPC(), r.HTTP()} {
		host, _, err := net.SplitHostPort(address)
		if err != nil || !net.ParseIP(host).IsLoopback() {
			t.Errorf("listens on %s", address)
		}
	}
	if _, err := otlp.Listen(t.Context(), otlp.Options{Sink: &kept{}, GRPC: r.GRPC()}); err == nil || !strings.Contains(err.Error(), r.GRPC()) {
		t.Errorf("an address in use: %v", err)
	}
	if _, err := otlp.Listen(t.Context(), otlp.Options{Sink: &kept{}, HTTP: "nonsense"}); err == nil {
		t.Error("a malformed address is taken")
	}
}
