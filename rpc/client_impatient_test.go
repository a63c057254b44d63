package rpc_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	echov1 "github.com/gowarren/warren/rpc/internal/testpb/echo/v1"

	"github.com/gowarren/warren/rpc"
)

// Callers choose how long they wait, and those outside are strangers: what is slower
// than they like must not be taken from everybody.
func TestImpatientCallersTakeNothingFromOthers(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{})
	hurried := func(ctx context.Context) bool {
		at, ok := ctx.Deadline()
		return ok && time.Until(at) < 5*time.Second
	}
	slow := func(n *node) {
		n.handle = func(ctx context.Context, _ *echov1.EchoRequest) (*echov1.EchoResponse, error) {
			if hurried(ctx) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return &echov1.EchoResponse{}, nil
		}
		watching(func(_ *echov1.EchoRequest, stream watchStream) error {
			if hurried(stream.Context()) {
				<-stream.Context().Done()
				return stream.Context().Err()
			}
			return stream.Send(&echov1.EchoResponse{})
		})(n)
	}
	s.start("a", slow)
	s.start("b", slow)
	s.usable(2)
	watch := func(ctx context.Context) error {
		stream, err := s.echo.Watch(ctx, &echov1.EchoRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		return err
	}
	for name, call := range map[string]func(context.Context) error{"call": s.say, "stream": watch} {
		var wait sync.WaitGroup
		for range 100 {
			wait.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				_ = call(ctx)
			})
		}
		wait.Wait()
		if err := call(within(t)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s.state().Usable != 2 {
		t.Errorf("%d instances are left", s.state().Usable)
	}
}

// A call that is given up while nobody can be reached is the caller's doing.
func TestWhoGivesUpWaitingIsNoError(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: file(t, "rpc.wait", "30s")})
	ctx, leave := context.WithCancel(t.Context())
	leave()
	if err := s.say(ctx); status.Code(err) != codes.Canceled {
		t.Errorf("got %v", err)
	}
	if n := total(t, s.metrics, "rpc_client_call_duration_seconds", "CANCELLED"); n != 1 {
		t.Errorf("%v calls are counted as cancelled", n)
	}
}

func TestAnswersMayBeAsLargeAsMessages(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: file(t, "rpc.message.max", "8388608")})
	const size = 6 << 20
	s.start("a", func(n *node) {
		n.handle = func(context.Context, *echov1.EchoRequest) (*echov1.EchoResponse, error) {
			return &echov1.EchoResponse{Text: strings.Repeat("x", size)}, nil
		}
	})
	s.usable(1)
	got, err := s.echo.Public(within(t), &echov1.EchoRequest{})
	if err != nil || len(got.GetText()) != size {
		t.Errorf("%d bytes, %v", len(got.GetText()), err)
	}
}
