package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	rpcv1 "github.com/gowarren/warren/api/warren/rpc/v1"
	warrenv1 "github.com/gowarren/warren/api/warren/v1"
	echov1 "github.com/gowarren/warren/rpc/internal/testpb/echo/v1"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/store"
)

// wantReason checks code and reason of an error that came over the wire.
func wantReason(t *testing.T, err error, code codes.Code, reason rpcv1.Reason) *rpc.Error {
	t.Helper()
	e := rpc.FromError(err)
	if e == nil || e.Code != code || !errors.Is(e, rpc.Reason(reason)) {
		t.Fatalf("got %v, want %v for reason %v", err, code, reason)
	}
	return e
}

func TestErrorsSurviveTheWire(t *testing.T) {
	sent := rpc.Errorf(echov1.Reason_REASON_NO_ECHO, "no echo of %q", "hey")
	sent.Metadata = map[string]string{"text": "hey"}
	sent.RetryAfter = 3 * time.Second
	sent.Violations = []rpc.Violation{{Field: "text", Description: "is deaf", Reason: "deaf"}}
	s := serve(t, rpc.ServerOptions{}, &echo{handle: func(context.Context, *echov1.EchoRequest) (*echov1.EchoResponse, error) {
		return nil, fmt.Errorf("load echo: %w", sent)
	}})
	_, err := s.client.Public(within(t), &echov1.EchoRequest{})
	got := rpc.FromError(err)
	if got.Code != codes.NotFound || got.Reason != "NO_ECHO" || got.Domain != "echo.test" || got.Message != `no echo of "hey"` {
		t.Errorf("got %+v", got)
	}
	if got.RetryAfter != 3*time.Second || got.Metadata["text"] != "hey" || len(got.Violations) != 1 || got.Violations[0] != sent.Violations[0] {
		t.Errorf("details are lost: %+v", got)
	}
	if !errors.Is(got, rpc.Reason(echov1.Reason_REASON_NO_ECHO)) || errors.Is(got, rpc.Reason(echov1.Reason_TOO_LOUD)) {
		t.Error("errors.Is does not tell reasons apart")
	}
	if !errors.Is(sent, rpc.Reason(echov1.Reason_REASON_NO_ECHO)) {
		t.Error("errors.Is does not hold where the error was made")
	}
}

func TestUnexplainedErrorsStayInside(t *testing.T) {
	secret := errors.New("password of db is hunter2")
	s := serve(t, rpc.ServerOptions{}, &echo{handle: func(context.Context, *echov1.EchoRequest) (*echov1.EchoResponse, error) {
		return nil, fmt.Errorf("query: %w", secret)
	}})
	_, err := s.client.Public(within(t), &echov1.EchoRequest{})
	e := wantReason(t, err, codes.Internal, rpcv1.Reason_REASON_INTERNAL)
	if e.Message != "internal error" {
		t.Errorf("the caller sees %q", e.Message)
	}
	if reference := e.Metadata["reference"]; reference == "" || !strings.Contains(s.logs.String(), reference) {
		t.Errorf("reference %q does not lead to the log", reference)
	}
	if !strings.Contains(s.logs.String(), "hunter2") {
		t.Error("the log does not tell the cause")
	}
}

// A database that is away is no fault of the service: callers are told to come
// back, and nothing of what it said.
func TestWhatIsAwayIsToldAsSuch(t *testing.T) {
	for _, away := range []error{store.ErrUnavailable, store.ErrBusy} {
		s := serve(t, rpc.ServerOptions{}, &echo{handle: func(context.Context, *echov1.EchoRequest) (*echov1.EchoResponse, error) {
			return nil, fmt.Errorf("dial db as hunter2: %w", away)
		}})
		_, err := s.client.Public(within(t), &echov1.EchoRequest{})
		e := wantReason(t, err, codes.Unavailable, rpcv1.Reason_REASON_DEPENDENCY_UNAVAILABLE)
		if e.RetryAfter <= 0 || strings.Contains(e.Error(), "hunter2") {
			t.Errorf("the caller sees %v, to come back after %s", e, e.RetryAfter)
		}
		if reference := e.Metadata["reference"]; reference == "" || !strings.Contains(s.logs.String(), reference) || !strings.Contains(s.logs.String(), "hunter2") {
			t.Error("the log does not tell the cause")
		}
	}
}

func TestContextErrorsKeepTheirMeaning(t *testing.T) {
	s := serve(t, rpc.ServerOptions{}, &echo{handle: func(ctx context.Context, _ *echov1.EchoRequest) (*echov1.EchoResponse, error) {
		<-ctx.Done()
		return nil, errors.New("driver: bad connection") // what drivers say when their context ends
	}})
	// Quick's contract gives it 50 ms.
	_, err := s.client.Quick(context.Background(), &echov1.EchoRequest{})
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("got %v", err)
	}
	if strings.Contains(s.logs.String(), "bad connection") {
		t.Error("a timeout was logged as a failure of the service")
	}
}

func TestDependencyThatDidNotBeginIsNotOurs(t *testing.T) {
	s := serve(t, rpc.ServerOptions{}, &echo{handle: func(context.Context, *echov1.EchoRequest) (*echov1.EchoResponse, error) {
		return nil, rpc.Errorf(rpcv1.Reason_REASON_OVERLOADED, "too much")
	}})
	_, err := s.client.Public(within(t), &echov1.EchoRequest{})
	wantReason(t, err, codes.Unavailable, rpcv1.Reason_REASON_DEPENDENCY_UNAVAILABLE)
}

func TestPanicIsOneErrorToOneCaller(t *testing.T) {
	s := serve(t, rpc.ServerOptions{}, &echo{
		handle: func(context.Context, *echov1.EchoRequest) (*echov1.EchoResponse, error) { panic("unary bang") },
		chat: func(grpc.BidiStreamingServer[echov1.EchoRequest, echov1.EchoResponse]) error {
			var nothing *echov1.EchoRequest
			return errors.New(nothing.GetItems()[7].String())
		},
	})
	_, err := s.client.Public(within(t), &echov1.EchoRequest{})
	wantReason(t, err, codes.Internal, rpcv1.Reason_REASON_INTERNAL)
	stream, err := s.client.Chat(within(t))
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	wantReason(t, err, codes.Internal, rpcv1.Reason_REASON_INTERNAL)

	if _, err := s.client.Plain(within(t), &echov1.PlainRequest{}); err != nil {
		t.Errorf("the server is gone: %v", err)
	}
	if got := s.logs.String(); !strings.Contains(got, "unary bang") || !strings.Contains(got, "server_test.go") {
		t.Error("the log has no panic with its stack")
	}
	if n := total(t, s.metrics, "warren_rpc_panics_total"); n != 2 {
		t.Errorf("counted %v panics", n)
	}
	eventually(t, "calls are let go of", func() bool { return s.server.InFlight() == 0 })
}

func TestValidationNamesTheField(t *testing.T) {
	s := serve(t, rpc.ServerOptions{}, &echo{})
	bad := &echov1.EchoRequest{
		Text:  strings.Repeat("x", 101),
		Items: []*echov1.EchoRequest_Item{{Quantity: 1}, {Quantity: 11}},
	}
	check := func(err error) {
		t.Helper()
		e := wantReason(t, err, codes.InvalidArgument, rpcv1.Reason_REASON_INVALID_REQUEST)
		var fields []string
		for _, v := range e.Violations {
			fields = append(fields, v.Field+" "+v.Reason)
		}
		if got := strings.Join(fields, ", "); got != "text string.max_len, items[1].quantity int32.gte_lte" {
			t.Errorf("violations: %s", got)
		}
	}
	_, err := s.client.Public(within(t), bad)
	check(err)
	stream, err := s.client.Chat(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&echov1.EchoRequest{Text: "good"}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(bad); err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	check(err)
}

func TestMalformedMessageIsTheCallersMistake(t *testing.T) {
	s := serve(t, rpc.ServerOptions{}, &echo{})
	err := s.conn.Invoke(within(t), echov1.EchoService_Public_FullMethodName, []byte{0xff}, new([]byte), grpc.ForceCodec(rawCodec{}))
	if err == nil || s.logs.String() != "" {
		t.Errorf("answered %v, logged %q", err, s.logs)
	}
	eventually(t, "it is counted as one invalid call", func() bool { // by gRPC's own hands, after the answer
		return total(t, s.metrics, "rpc_server_call_duration_seconds", "INVALID_ARGUMENT") == 1
	})
}

type rawCodec struct{}

func (rawCodec) Marshal(v any) ([]byte, error)   { return v.([]byte), nil }
func (rawCodec) Unmarshal(b []byte, v any) error { *v.(*[]byte) = b; return nil }
func (rawCodec) Name() string                    { return "proto" }

func TestIdempotencyKeyIsRequired(t *testing.T) {
	s := serve(t, rpc.ServerOptions{}, &echo{})
	_, err := s.client.Keyed(within(t), &echov1.EchoRequest{})
	wantReason(t, err, codes.InvalidArgument, rpcv1.Reason_REASON_IDEMPOTENCY_KEY_REQUIRED)
	ctx := metadata.AppendToOutgoingContext(within(t), rpc.MetadataIdempotencyKey, "k1")
	if _, err := s.client.Keyed(ctx, &echov1.EchoRequest{}); err != nil {
		t.Error(err)
	}
}

func TestContractGivesTheDeadline(t *testing.T) {
	var left atomic.Int64 // of a call that may go on when its caller has gone
	handle := func(ctx context.Context, _ *echov1.EchoRequest) (*echov1.EchoResponse, error) {
		deadline, ok := ctx.Deadline()
		if !ok {
			return nil, errors.New("no deadline")
		}
		left.Store(int64(time.Until(deadline)))
		return &echov1.EchoResponse{}, nil
	}
	s := serve(t, rpc.ServerOptions{Settings: settings(t, nil)}, &echo{handle: handle})
	check := func(whose string, least, most time.Duration, call func() error) {
		t.Helper()
		eventually(t, "a call is in time for the deadline: "+whose, func() bool { return call() == nil })
		if got := time.Duration(left.Load()); got < least || got > most {
			t.Errorf("%s: %v left", whose, got)
		}
	}
	check("caller's", 2*time.Second, time.Hour, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		_, err := s.client.Quick(ctx, &echov1.EchoRequest{})
		return err
	})
	check("default", 50*time.Millisecond, 2*time.Second, func() error {
		_, err := s.client.Public(context.Background(), &echov1.EchoRequest{})
		return err
	})
	check("contract", 0, 50*time.Millisecond, func() error {
		_, err := s.client.Quick(context.Background(), &echov1.EchoRequest{})
		return err
	})
}

func TestHealthAndReflectionNeedNoToken(t *testing.T) {
	s := serve(t, rpc.ServerOptions{}, &echo{})
	health := grpc_health_v1.NewHealthClient(s.conn)
	check := func(service string, want grpc_health_v1.HealthCheckResponse_ServingStatus) {
		t.Helper()
		got, err := health.Check(within(t), &grpc_health_v1.HealthCheckRequest{Service: service})
		if err != nil || got.GetStatus() != want {
			t.Errorf("health of %q: %v, %v", service, got, err)
		}
	}
	check("", grpc_health_v1.HealthCheckResponse_SERVING)
	check("echo.v1.EchoService", grpc_health_v1.HealthCheckResponse_SERVING)
	s.server.SetServing(false)
	check("", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	check("echo.v1.EchoService", grpc_health_v1.HealthCheckResponse_NOT_SERVING)

	stream, err := reflectionv1.NewServerReflectionClient(s.conn).ServerReflectionInfo(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "echo.v1.EchoService"},
	}); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil || len(answer.GetFileDescriptorResponse().GetFileDescriptorProto()) == 0 {
		t.Errorf("reflection: %v, %v", answer, err)
	}
	if n := s.server.InFlight(); n != 0 {
		t.Errorf("an open reflection stream counts as %d calls: it would hold up a drain", n)
	}
}

func TestContradictoryContractIsRefused(t *testing.T) {
	options := &descriptorpb.MethodOptions{}
	proto.SetExtension(options, warrenv1.E_Method, &warrenv1.MethodOptions{Access: warrenv1.Access_ACCESS_PUBLIC, Compensate: "Undo"})
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: new("broken/v1/broken.proto"), Package: new("broken.v1"), Syntax: new("proto3"),
		Dependency:  []string{"echo/v1/echo.proto", "warren/v1/options.proto"},
		MessageType: nil,
		Service: []*descriptorpb.ServiceDescriptorProto{{
			Name: new("BrokenService"),
			Method: []*descriptorpb.MethodDescriptorProto{{
				Name: new("Do"), InputType: new(".echo.v1.EchoRequest"), OutputType: new(".echo.v1.EchoResponse"),
				Options: options,
			}},
		}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := protoregistry.GlobalFiles.FindFileByPath(file.Path()); err != nil { // the process may run the test again
		if err := protoregistry.GlobalFiles.RegisterFile(file); err != nil {
			t.Fatal(err)
		}
	}
	server := rpc.NewServer(rpc.ServerOptions{})
	server.RegisterService(&grpc.ServiceDesc{ServiceName: "broken.v1.BrokenService", HandlerType: (*any)(nil)}, nil)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	err = server.Serve(listener)
	if err == nil {
		t.Fatal("served")
	}
	for _, part := range []string{"broken/v1/broken.proto", "BrokenService/Do", "Undo"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not name %s: %v", part, err)
		}
	}
}

func TestMistakesOfRegistrationAreErrors(t *testing.T) {
	server := rpc.NewServer(rpc.ServerOptions{})
	echov1.RegisterEchoServiceServer(server, &echo{})
	if err := server.Check(); err != nil {
		t.Fatal(err)
	}
	echov1.RegisterEchoServiceServer(server, &echo{})
	if err := server.Check(); err == nil || !strings.Contains(err.Error(), "registered already") {
		t.Errorf("twice: %v", err)
	}
	server = rpc.NewServer(rpc.ServerOptions{})
	server.RegisterService(&echov1.EchoService_ServiceDesc, "not an echo")
	if err := server.Check(); err == nil || !strings.Contains(err.Error(), "does not implement") {
		t.Errorf("wrong type: %v", err)
	}
}

func TestUnknownContractIsInternal(t *testing.T) {
	server := rpc.NewServer(rpc.ServerOptions{})
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "unheard.of.Service", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Do", Handler: func(any, context.Context, func(any) error, grpc.UnaryServerInterceptor) (any, error) {
			return &echov1.EchoResponse{}, nil
		}}},
	}, struct{}{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	err = dial(t, listener.Addr().String()).Invoke(within(t), "/unheard.of.Service/Do", &echov1.EchoRequest{}, &echov1.EchoResponse{})
	wantReason(t, err, codes.PermissionDenied, rpcv1.Reason_REASON_PERMISSION_DENIED)
}

func TestServesOnSeveralListeners(t *testing.T) {
	server := rpc.NewServer(rpc.ServerOptions{})
	echov1.RegisterEchoServiceServer(server, &echo{})
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "s")
	unix, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(tcp, unix) }()
	for _, target := range []string{tcp.Addr().String(), "unix:" + socket} {
		client := echov1.NewEchoServiceClient(dial(t, target))
		if _, err := client.Public(within(t), &echov1.EchoRequest{}); err != nil {
			t.Errorf("%s: %v", target, err)
		}
	}
	if n := server.OpenConns(); n != 2 {
		t.Errorf("%d connections are open", n)
	}
	server.Stop()
	if err := <-ended; err != nil {
		t.Errorf("Serve after Stop: %v", err)
	}
	eventually(t, "connections are closed", func() bool { return server.OpenConns() == 0 })
}

func TestDrainWaitsForCallersAndCalls(t *testing.T) {
	began, finish := make(chan struct{}), make(chan struct{})
	s := serve(t, rpc.ServerOptions{}, &echo{
		handle: func(context.Context, *echov1.EchoRequest) (*echov1.EchoResponse, error) {
			close(began)
			<-finish
			return &echov1.EchoResponse{Text: "done"}, nil
		},
		watch: func(_ *echov1.EchoRequest, stream grpc.ServerStreamingServer[echov1.EchoResponse]) error {
			if err := stream.Send(&echov1.EchoResponse{Text: "first"}); err != nil {
				return err
			}
			<-rpc.Draining(stream.Context())
			return stream.Send(&echov1.EchoResponse{Text: "last"})
		},
	})
	answered := make(chan error, 1)
	go func() {
		_, err := s.client.Public(within(t), &echov1.EchoRequest{})
		answered <- err
	}()
	stream, err := s.client.Watch(within(t), &echov1.EchoRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	<-began
	drained := make(chan rpc.DrainReport, 1)
	go func() { drained <- s.server.Drain(context.Background()) }()
	if m, err := stream.Recv(); err != nil || m.GetText() != "last" {
		t.Errorf("the stream was not told: %v, %v", m, err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream did not end well: %v", err)
	}
	// A latecomer that has not heard yet is served too.
	if _, err := s.client.Plain(within(t), &echov1.PlainRequest{}); err != nil {
		t.Errorf("a late call: %v", err)
	}
	close(finish)
	if err := <-answered; err != nil {
		t.Errorf("the call under way: %v", err)
	}
	if report := <-drained; !report.MovedOn || report.Cut != 0 {
		t.Errorf("report %+v", report)
	}
	if err := <-s.ended; err != nil {
		t.Errorf("Serve after Drain: %v", err)
	}
}

func TestWhoWatchesHealthDoesNotHoldUpADrain(t *testing.T) {
	s := serve(t, rpc.ServerOptions{Settings: file(t, "rpc.drain.timeout", "1h")}, &echo{})
	watch, err := grpc_health_v1.NewHealthClient(s.conn).Watch(within(t), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	drained := make(chan rpc.DrainReport, 1)
	go func() { drained <- s.server.Drain(context.Background()) }()
	select {
	case report := <-drained:
		if !report.MovedOn || report.Cut != 0 {
			t.Errorf("report %+v", report)
		}
	case <-time.After(20 * time.Second):
		t.Error("who watches health holds up a drain")
	}
}

func TestWhoNeverSpeaksDoesNotHoldUpAStop(t *testing.T) {
	for name, end := range map[string]func(*rpc.Server){
		"stop":  (*rpc.Server).Stop,
		"drain": func(s *rpc.Server) { s.Drain(context.Background()) },
	} {
		server := rpc.NewServer(rpc.ServerOptions{})
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- server.Serve(listener) }()
		silent, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		eventually(t, "it is connected", func() bool { return server.OpenConns() == 1 })
		go end(server)
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(20 * time.Second): // gRPC gives up on who is silent after two minutes
			t.Errorf("%s: who is silent holds it up", name)
		}
	}
}

func TestDrainIsBoundedAndReportsWhatItCut(t *testing.T) {
	began := make(chan struct{})
	s := serve(t, rpc.ServerOptions{}, &echo{handle: func(ctx context.Context, _ *echov1.EchoRequest) (*echov1.EchoResponse, error) {
		close(began)
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	answered := make(chan error, 1)
	go func() {
		_, err := s.client.Public(within(t), &echov1.EchoRequest{})
		answered <- err
	}()
	<-began
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if report := s.server.Drain(ctx); report.Cut != 1 {
		t.Errorf("report %+v", report)
	}
	if err := <-answered; err == nil {
		t.Error("the call that was cut has an answer")
	}
}

// How long somebody listens says nothing of who serves.
func TestAStreamTakesUntilItsFirstMessage(t *testing.T) {
	s := serve(t, rpc.ServerOptions{}, &echo{})
	asked := time.Now()
	stream, err := s.client.Chat(within(t))
	if err == nil {
		err = stream.Send(&echov1.EchoRequest{})
	}
	if err == nil {
		_, err = stream.Recv()
	}
	if err != nil {
		t.Fatal(err)
	}
	answered := time.Since(asked)
	eventually(t, "the stream has been open for a while", func() bool { return time.Since(asked) > answered+100*time.Millisecond })
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the stream is counted", func() bool {
		return total(t, s.metrics, "rpc_server_call_duration_seconds", "echo.v1.EchoService/Chat", "OK") == 1
	})
	families, err := s.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "rpc_server_call_duration_seconds" {
			continue
		}
		if took := f.GetMetric()[0].GetHistogram().GetSampleSum(); took > answered.Seconds() {
			t.Errorf("it took %v s, and its first message came within %v", took, answered)
		}
	}
}

func TestStreamsAreBounded(t *testing.T) {
	settings, err := config.New(config.Options{File: fileLayer("rpc.streams.max", "1")})
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, rpc.ServerOptions{Settings: settings}, &echo{})
	first, err := s.client.Chat(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Send(&echov1.EchoRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Recv(); err != nil {
		t.Fatal(err)
	}
	second, err := s.client.Chat(within(t))
	if err != nil {
		t.Fatal(err)
	}
	_, err = second.Recv()
	e := wantReason(t, err, codes.Unavailable, rpcv1.Reason_REASON_OVERLOADED)
	if e.RetryAfter <= 0 || len(second.Trailer().Get("grpc-retry-pushback-ms")) != 1 {
		t.Errorf("no word of when to come back: %+v, %v", e, second.Trailer())
	}
}
