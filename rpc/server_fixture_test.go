package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	echov1 "github.com/gowarren/warren/rpc/internal/testpb/echo/v1"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/rpc"
)

// echo implements the test contract: every method is what the test says, and
// an echo if it says nothing.
type echo struct {
	echov1.UnimplementedEchoServiceServer
	handle func(context.Context, *echov1.EchoRequest) (*echov1.EchoResponse, error)
	chat   func(grpc.BidiStreamingServer[echov1.EchoRequest, echov1.EchoResponse]) error
	watch  func(*echov1.EchoRequest, grpc.ServerStreamingServer[echov1.EchoResponse]) error
}

func (e *echo) answer(ctx context.Context, r *echov1.EchoRequest) (*echov1.EchoResponse, error) {
	if e.handle != nil {
		return e.handle(ctx, r)
	}
	return &echov1.EchoResponse{Text: r.GetText()}, nil
}

func (e *echo) Public(ctx context.Context, r *echov1.EchoRequest) (*echov1.EchoResponse, error) {
	return e.answer(ctx, r)
}

func (e *echo) Quick(ctx context.Context, r *echov1.EchoRequest) (*echov1.EchoResponse, error) {
	return e.answer(ctx, r)
}

func (e *echo) SignedIn(ctx context.Context, r *echov1.EchoRequest) (*echov1.EchoResponse, error) {
	return e.answer(ctx, r)
}

func (e *echo) Staff(ctx context.Context, r *echov1.EchoRequest) (*echov1.EchoResponse, error) {
	return e.answer(ctx, r)
}

func (e *echo) Silent(ctx context.Context, r *echov1.EchoRequest) (*echov1.EchoResponse, error) {
	return e.answer(ctx, r)
}

func (e *echo) Keyed(ctx context.Context, r *echov1.EchoRequest) (*echov1.EchoResponse, error) {
	return e.answer(ctx, r)
}

func (e *echo) Low(ctx context.Context, r *echov1.EchoRequest) (*echov1.EchoResponse, error) {
	return e.answer(ctx, r)
}

func (e *echo) High(ctx context.Context, r *echov1.EchoRequest) (*echov1.EchoResponse, error) {
	return e.answer(ctx, r)
}

func (e *echo) Plain(_ context.Context, r *echov1.PlainRequest) (*echov1.PlainResponse, error) {
	return &echov1.PlainResponse{Text: r.GetText()}, nil
}

func (e *echo) Chat(stream grpc.BidiStreamingServer[echov1.EchoRequest, echov1.EchoResponse]) error {
	if e.chat != nil {
		return e.chat(stream)
	}
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(&echov1.EchoResponse{Text: r.GetText()}); err != nil {
			return err
		}
	}
}

func (e *echo) Watch(r *echov1.EchoRequest, stream grpc.ServerStreamingServer[echov1.EchoResponse]) error {
	return e.watch(r, stream)
}

// served is a server that serves an echo over a socket.
type served struct {
	server  *rpc.Server
	client  echov1.EchoServiceClient
	conn    *grpc.ClientConn
	logs    *logs
	metrics *prometheus.Registry
	ended   chan error // receives what Serve returned
}

// serve starts a server of the echo, which ends with the test. Its settings are
// patient if the test has none.
func serve(t testing.TB, opts rpc.ServerOptions, e *echo) *served {
	t.Helper()
	if opts.Settings == nil {
		opts.Settings = patient(t)
	}
	s := &served{logs: &logs{}, metrics: prometheus.NewRegistry(), ended: make(chan error, 1)}
	opts.Logger = slog.New(slog.NewTextHandler(s.logs, nil))
	opts.Metrics = s.metrics
	s.server = rpc.NewServer(opts)
	echov1.RegisterEchoServiceServer(s.server, e)
	if err := s.server.Check(); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "s")
	unix, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	go func() { s.ended <- s.server.Serve(unix) }()
	t.Cleanup(s.server.Stop)
	s.conn = dial(t, "unix:"+socket)
	s.client = echov1.NewEchoServiceClient(s.conn)
	return s
}

func dial(t testing.TB, target string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// logs is a log that can be read while it is written.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// within returns a context that ends the test's calls before the test hangs.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits until the condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within 20s: %s", what)
		}
	}
}

// total returns the sum of a metric's series: values of counters and gauges,
// counts of histograms.
func total(t testing.TB, metrics prometheus.Gatherer, name string, labels ...string) float64 {
	t.Helper()
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			text := m.String()
			if slices.ContainsFunc(labels, func(l string) bool { return !strings.Contains(text, `"`+l+`"`) }) {
				continue
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

// fileLayer sets one setting for all.
func fileLayer(name, value string) config.FileLayer {
	return config.FileLayer{Entries: []config.FileEntry{{Name: name, Value: value, Position: "test"}}}
}
