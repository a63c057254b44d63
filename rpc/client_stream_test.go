package rpc_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	echov1 "github.com/gowarren/warren/rpc/internal/testpb/echo/v1"

	"github.com/gowarren/warren/rpc"
)

type watchStream = grpc.ServerStreamingServer[echov1.EchoResponse]

// watching makes an instance answer Watch.
func watching(f func(*echov1.EchoRequest, watchStream) error) func(*node) {
	return func(n *node) { n.watch = f }
}

func TestStreamTalksBothWays(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{})
	s.start("a")
	stream, err := s.echo.Chat(within(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"one", "two"} {
		if err := stream.Send(&echov1.EchoRequest{Text: text}); err != nil {
			t.Fatal(err)
		}
		if r, err := stream.Recv(); err != nil || r.GetText() != text {
			t.Fatalf("got %v, %v", r, err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want the end", err)
	}
	if n := total(t, s.metrics, "rpc_client_call_duration_seconds", echoContract+"/Chat", "OK"); n != 1 {
		t.Errorf("the stream was measured %v times", n)
	}
	if n := s.state().Instances[0].InFlight; n != 0 {
		t.Errorf("%d calls in flight after the end", n)
	}
}

func TestStreamThatIsNotEvenSentLeavesNothingBehind(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{})
	a := s.start("a")
	s.usable(1)
	ctx := metadata.AppendToOutgoingContext(within(t), "name", "not\x80text")
	if _, err := s.echo.Chat(ctx); status.Code(err) != codes.Internal {
		t.Fatalf("got %v, want gRPC to refuse the metadata", err)
	}
	if n := s.state().Instances[0].InFlight; n != 0 {
		t.Errorf("%d calls are in flight", n)
	}
	s.remove(a)
	eventually(t, "the connection to end", func() bool { return a.peers.open.Load() == 0 })
}

func TestStreamIsStartedAgainWhileNothingWasReceived(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{})
	var starts atomic.Int64
	flaky := watching(func(r *echov1.EchoRequest, stream watchStream) error {
		if starts.Add(1) == 1 {
			return status.Error(codes.Unavailable, "not now")
		}
		return stream.Send(&echov1.EchoResponse{Text: r.GetText()})
	})
	s.start("a", flaky)
	s.start("b", flaky)
	s.usable(2)
	stream, err := s.echo.Watch(within(t), &echov1.EchoRequest{Text: "hi"})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := stream.Recv(); err != nil || r.GetText() != "hi" {
		t.Errorf("got %v, %v", r, err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want the end", err)
	}
	if n := total(t, s.metrics, "rpc_client_call_duration_seconds", echoContract+"/Watch"); n != 1 || starts.Load() != 2 {
		t.Errorf("%d starts, measured %v times; want 2 and once", starts.Load(), n)
	}
}

func TestStreamThatHasSpokenIsNotStartedAgain(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{})
	var starts atomic.Int64
	s.start("a", watching(func(_ *echov1.EchoRequest, stream watchStream) error {
		starts.Add(1)
		if err := stream.Send(&echov1.EchoResponse{}); err != nil {
			return err
		}
		return status.Error(codes.Unavailable, "in the middle")
	}))
	stream, err := s.echo.Watch(within(t), &echov1.EchoRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("got %v", err)
	}
	if starts.Load() != 1 {
		t.Errorf("started %d times", starts.Load())
	}
}

func TestAbandonedStreamLetsGo(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{})
	ended := make(chan struct{})
	s.start("a", watching(func(_ *echov1.EchoRequest, stream watchStream) error {
		defer close(ended)
		if err := stream.Send(&echov1.EchoResponse{}); err != nil {
			return err
		}
		<-stream.Context().Done()
		return stream.Context().Err()
	}))
	ctx, cancel := context.WithCancel(within(t))
	stream, err := s.echo.Watch(ctx, &echov1.EchoRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	cancel() // and never reads again
	<-ended
	eventually(t, "the call to end", func() bool { return s.state().Instances[0].InFlight == 0 })
	eventually(t, "the call to be measured", func() bool {
		return total(t, s.metrics, "rpc_client_call_duration_seconds", echoContract+"/Watch", "CANCELLED") == 1
	})
}

func TestStreamsKeepADrainingInstanceUntilTheyEnd(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{})
	a := s.start("a")
	stream, err := s.echo.Chat(within(t))
	if err != nil {
		t.Fatal(err)
	}
	s.remove(a)
	s.usable(0)
	if err := stream.Send(&echov1.EchoRequest{Text: "still"}); err != nil {
		t.Fatal(err)
	}
	if r, err := stream.Recv(); err != nil || r.GetText() != "still" {
		t.Errorf("got %v, %v", r, err)
	}
	if a.peers.open.Load() != 1 {
		t.Error("the connection was closed under the stream")
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	_, _ = stream.Recv()
	eventually(t, "the connection to end", func() bool { return a.peers.open.Load() == 0 })
}

func TestHedgedStreamGoesOnWithTheInstanceThatSpeaksFirst(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: file(t, "rpc.hedge.delay", "5ms", "rpc.balancer", "round_robin")})
	cancelled := make(chan struct{}, 100)
	s.start("slow", watching(func(_ *echov1.EchoRequest, stream watchStream) error {
		<-stream.Context().Done()
		cancelled <- struct{}{}
		return stream.Context().Err()
	}))
	s.start("fast", watching(func(r *echov1.EchoRequest, stream watchStream) error {
		stream.SetTrailer(metadata.Pairs("from", "fast"))
		for range 3 {
			if err := stream.Send(&echov1.EchoResponse{Text: r.GetText()}); err != nil {
				return err
			}
		}
		return nil
	}))
	s.usable(2)
	for range 6 {
		var trailer metadata.MD
		stream, err := s.echo.Watch(within(t), &echov1.EchoRequest{Text: "hi"}, grpc.Trailer(&trailer))
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if r, err := stream.Recv(); err != nil || r.GetText() != "hi" {
				t.Fatalf("got %v, %v", r, err)
			}
		}
		if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
			t.Fatalf("got %v, want the end", err)
		}
		if from := stream.Trailer().Get("from"); len(from) != 1 || len(trailer.Get("from")) != 1 {
			t.Fatalf("trailer %v, as asked for %v; want that of the one that answered", stream.Trailer(), trailer)
		}
	}
	if n := total(t, s.metrics, "warren_rpc_retries_total", "hedge"); n < 2 {
		t.Errorf("%v hedges, want one for each stream that went to the slow instance", n)
	}
	if n := total(t, s.metrics, "rpc_client_call_duration_seconds", echoContract+"/Watch", "OK"); n != 6 {
		t.Errorf("6 streams were measured %v times", n)
	}
	<-cancelled // the loser is told
	eventually(t, "the losers to end", func() bool { return inFlight(s, "slow") == 0 })
}

func TestHedgedStreamTakesTheEndOfAnEmptyStreamForAnAnswer(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: file(t, "rpc.hedge.delay", "5ms")})
	var starts atomic.Int64
	empty := watching(func(_ *echov1.EchoRequest, stream watchStream) error {
		if starts.Add(1) == 1 {
			<-stream.Context().Done()
			return stream.Context().Err()
		}
		return nil
	})
	s.start("a", empty)
	s.start("b", empty)
	s.usable(2)
	stream, err := s.echo.Watch(within(t), &echov1.EchoRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want the end", err)
	}
}

func TestHedgedStreamFailsWhenBothInstancesDo(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: file(t, "rpc.hedge.delay", "5ms")})
	var starts atomic.Int64
	both := make(chan struct{})
	failing := watching(func(*echov1.EchoRequest, watchStream) error {
		if starts.Add(1) == 2 {
			close(both)
		}
		<-both
		return status.Error(codes.InvalidArgument, "no")
	})
	s.start("a", failing)
	s.start("b", failing)
	s.usable(2)
	stream, err := s.echo.Watch(within(t), &echov1.EchoRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.InvalidArgument || starts.Load() != 2 {
		t.Errorf("got %v after %d starts", err, starts.Load())
	}
}

func TestStreamWithManyRequestsIsNotHedged(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: file(t, "rpc.hedge.delay", "1ms")})
	s.start("a")
	s.start("b")
	s.usable(2)
	stream, err := s.echo.Chat(within(t))
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := stream.Send(&echov1.EchoRequest{Text: "hi"}); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	if n := total(t, s.metrics, "warren_rpc_retries_total", "hedge"); n != 0 {
		t.Errorf("%v hedges of a stream whose requests cannot be sent again", n)
	}
}
