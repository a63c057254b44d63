package rpc_test

import (
	"context"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	rpcv1 "github.com/gowarren/warren/api/warren/rpc/v1"
	echov1 "github.com/gowarren/warren/rpc/internal/testpb/echo/v1"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/config/fileconfig"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/telemetry"
)

// settings puts values in force that the file says.
func settings(t testing.TB, values map[string]string) *config.Settings {
	t.Helper()
	var layer config.FileLayer
	for name, value := range values {
		layer.Entries = append(layer.Entries, fileLayer(name, value).Entries...)
	}
	s, err := config.New(config.Options{File: layer, Definitions: rpc.Definitions()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOverloadIsRefusedBeforeAnythingIsDone(t *testing.T) {
	release := make(chan struct{})
	var running atomic.Int32
	s := serve(t, rpc.ServerOptions{Settings: settings(t, map[string]string{
		"rpc.admission.min": "2", "rpc.admission.max": "2", "rpc.admission.initial": "2",
		"rpc.admission.queue": "10", "rpc.admission.wait": "1m", "rpc.timeout": "1m",
	})}, &echo{handle: func(ctx context.Context, _ *echov1.EchoRequest) (*echov1.EchoResponse, error) {
		running.Add(1)
		select {
		case <-release:
		case <-ctx.Done():
		}
		return &echov1.EchoResponse{}, ctx.Err()
	}})
	high := make(chan error, 2)
	normal := make(chan error, 30)
	for range cap(normal) {
		go func() {
			_, err := s.client.Public(within(t), &echov1.EchoRequest{})
			normal <- err
		}()
	}
	// Two run, eight of ten places are taken: twenty are refused.
	for range 20 {
		e := wantReason(t, <-normal, codes.Unavailable, rpcv1.Reason_REASON_OVERLOADED)
		if e.RetryAfter <= 0 {
			t.Error("no word of when to come back")
		}
	}
	_, err := s.client.Low(within(t), &echov1.EchoRequest{})
	wantReason(t, err, codes.Unavailable, rpcv1.Reason_REASON_OVERLOADED)
	for range 2 {
		go func() {
			_, err := s.client.High(within(t), &echov1.EchoRequest{})
			high <- err
		}()
	}
	eventually(t, "high calls wait where others are refused", func() bool {
		return total(t, s.metrics, "warren_rpc_admission_queued") == 10
	})
	health, err := grpc_health_v1.NewHealthClient(s.conn).Check(within(t), &grpc_health_v1.HealthCheckRequest{})
	if err != nil || health.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("health under overload: %v, %v", health, err)
	}
	if n := running.Load(); n != 2 {
		t.Errorf("%d handlers run", n)
	}
	close(release)
	for range 10 {
		if err := <-normal; err != nil {
			t.Errorf("a call that was admitted: %v", err)
		}
	}
	for range 2 {
		if err := <-high; err != nil {
			t.Errorf("a high call: %v", err)
		}
	}
	if n := total(t, s.metrics, "warren_rpc_shed_total", "normal"); n != 20 {
		t.Errorf("%v normal calls are counted as shed", n)
	}
}

func TestLimitChangesLive(t *testing.T) {
	d, err := fileconfig.Open(t.Context(), &url.URL{Scheme: "file", Path: filepath.Join(t.TempDir(), "settings.json")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	live, err := config.New(config.Options{Driver: d, Service: "echo", Definitions: rpc.Definitions()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(live.Close)
	centre, err := config.NewCentre(d, "local")
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, rpc.ServerOptions{Settings: live}, &echo{})
	eventually(t, "the definitions are published", func() bool {
		value := "7"
		_, err := centre.Set(t.Context(), []config.Edit{{Name: "rpc.admission.max", New: &value}, {Name: "rpc.admission.min", New: &value}}, "test", "to see")
		return err == nil
	})
	eventually(t, "the limit is the new one", func() bool { return total(t, s.metrics, "warren_rpc_admission_limit") == 7 })
	wrong := "none"
	if _, err := centre.Set(t.Context(), []config.Edit{{Name: "rpc.admission.max", New: &wrong}}, "test", "to see"); err == nil {
		t.Error("a wrong value is accepted")
	}
}

func TestOneSpanPerCallAndStream(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	tel, err := telemetry.Open(t.Context(), telemetry.Options{Service: "echo", Exporter: exporter, Sample: func() float64 { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tel.Close(context.Background()) })
	s := serve(t, rpc.ServerOptions{Tracer: tel.Tracer()}, &echo{handle: func(ctx context.Context, r *echov1.EchoRequest) (*echov1.EchoResponse, error) {
		if r.GetText() == "missing" {
			return nil, rpc.Errorf(echov1.Reason_REASON_NO_ECHO, "none")
		}
		return &echov1.EchoResponse{Text: telemetry.TraceID(ctx)}, nil
	}})
	const id = "0af7651916cd43dd8448eb211c80319c"
	sampled := metadata.AppendToOutgoingContext(within(t), "traceparent", "00-"+id+"-b7ad6b7169203331-01")
	unsampled := metadata.AppendToOutgoingContext(within(t), "traceparent", "00-"+strings.Repeat("1", 32)+"-b7ad6b7169203331-00")
	r, err := s.client.Public(sampled, &echov1.EchoRequest{})
	if err != nil || r.GetText() != id {
		t.Errorf("the handler's trace is %q, %v", r.GetText(), err)
	}
	if r, err = s.client.Public(unsampled, &echov1.EchoRequest{}); err != nil || r.GetText() != strings.Repeat("1", 32) {
		t.Errorf("an unsampled trace is lost: %q, %v", r.GetText(), err)
	}
	if _, err := s.client.Public(sampled, &echov1.EchoRequest{Text: "missing"}); err == nil {
		t.Error("found")
	}
	stream, err := s.client.Chat(sampled)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := stream.Send(&echov1.EchoRequest{}); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	stream.Recv()
	eventually(t, "all calls have ended", func() bool { return s.server.InFlight() == 0 })
	if err := tel.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, span := range exporter.GetSpans() {
		if span.SpanContext.TraceID().String() != id || span.Parent.SpanID().String() != "b7ad6b7169203331" {
			t.Errorf("span %s is not the caller's child", span.Name)
		}
		for _, a := range span.Attributes {
			if a.Key == "rpc.response.status_code" {
				got[span.Name+" "+a.Value.AsString()+" "+span.Status.Code.String()]++
			}
		}
	}
	want := map[string]int{
		"echo.v1.EchoService/Public OK Unset":        1,
		"echo.v1.EchoService/Public NOT_FOUND Unset": 1,
		"echo.v1.EchoService/Chat OK Unset":          1,
	}
	if len(got) != len(want) {
		t.Errorf("spans %v", got)
	}
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("spans %v, want %v", got, want)
		}
	}
	if n := total(t, s.metrics, "rpc_server_call_duration_seconds", "echo.v1.EchoService/Public", "OK"); n != 2 {
		t.Errorf("%v calls are counted", n)
	}
}

func TestAbandonedCallsLeaveNothingBehind(t *testing.T) {
	s := serve(t, rpc.ServerOptions{}, &echo{handle: func(ctx context.Context, _ *echov1.EchoRequest) (*echov1.EchoResponse, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	for n := range 200 {
		ctx, cancel := context.WithTimeout(within(t), time.Duration(n%5)*time.Millisecond)
		s.client.Public(ctx, &echov1.EchoRequest{})
		if stream, err := s.client.Chat(ctx); err == nil {
			stream.Send(&echov1.EchoRequest{})
		}
		cancel()
	}
	eventually(t, "nothing is in flight", func() bool { return s.server.InFlight() == 0 })
	if n := total(t, s.metrics, "rpc_server_call_duration_seconds", "INTERNAL"); n != 0 {
		t.Errorf("%v abandoned calls are counted as failures of the service", n)
	}
	if text := s.logs.String(); text != "" {
		t.Errorf("logged: %s", text)
	}
}
