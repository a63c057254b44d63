package rpc_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	echov1 "github.com/gowarren/warren/rpc/internal/testpb/echo/v1"

	"github.com/gowarren/warren/rpc"
)

// The silences of these tests are longer than a busy machine keeps a healthy
// instance from answering.

func TestIdempotentCallsSurviveAnInstanceThatIsStopped(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: file(t, "rpc.balancer", "round_robin", "rpc.silence", "1s",
		"rpc.outlier.ejection", "1h", "rpc.outlier.ejection_max", "1h")})
	hole := s.start("hole")
	s.start("b")
	s.usable(2)
	if err := s.say(within(t)); err != nil {
		t.Fatal(err)
	}
	hole.listener.blackHole()
	var calls sync.WaitGroup
	for range 8 {
		calls.Go(func() {
			if err := s.say(within(t)); err != nil {
				t.Error(err)
			}
		})
	}
	calls.Wait()
	if n := s.state().Usable; n != 1 {
		t.Errorf("%d instances are usable, want the one that answers", n)
	}
}

func TestCallsThatMayNotBeRepeatedEjectAnInstanceThatIsStopped(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: file(t, "rpc.balancer", "round_robin", "rpc.silence", "1s",
		"rpc.timeout", "4s", "rpc.outlier.ejection", "1h", "rpc.outlier.ejection_max", "1h")})
	hole := s.start("hole")
	s.start("b")
	s.usable(2)
	hole.listener.blackHole()
	failed := 0
	for range 8 { // in turns, one after the other
		if _, err := s.echo.SignedIn(within(t), &echov1.EchoRequest{}); err != nil {
			failed++
		}
	}
	if failed > 1 {
		t.Errorf("%d calls ended in the silence, want the first alone", failed)
	}
}

func TestSlowCallsAreNotGivenUp(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: file(t, "rpc.silence", "1s")})
	slow := func(n *node) {
		n.handle = func(ctx context.Context, _ *echov1.EchoRequest) (*echov1.EchoResponse, error) {
			<-time.After(3500 * time.Millisecond) // two silences and more
			return &echov1.EchoResponse{}, ctx.Err()
		}
	}
	a, b := s.start("a", slow), s.start("b", slow)
	s.usable(2)
	if err := s.say(within(t)); err != nil {
		t.Fatal(err)
	}
	if n := a.calls.Load() + b.calls.Load(); n != 1 {
		t.Errorf("a call was sent %d times, want once: the instance said that it lives", n)
	}
	if n := s.state().Usable; n != 2 {
		t.Errorf("%d instances are usable, want both", n)
	}
}

func TestStreamsSurviveAnInstanceThatIsStopped(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: file(t, "rpc.balancer", "round_robin", "rpc.silence", "1s",
		"rpc.outlier.ejection", "1h", "rpc.outlier.ejection_max", "1h")})
	hole := s.start("hole", watching(once))
	s.start("b", watching(once))
	s.usable(2)
	hole.listener.blackHole()
	var streams sync.WaitGroup
	for i := range 8 {
		streams.Go(func() {
			stream, err := s.echo.Watch(within(t), &echov1.EchoRequest{Text: "hi"})
			if err != nil {
				t.Error(err)
				return
			}
			if i%2 == 0 { // some ask for the header first
				if md, err := stream.Header(); err != nil || len(md) == 0 {
					t.Errorf("header: %v, %v", md, err)
				}
			}
			if r, err := stream.Recv(); err != nil || r.GetText() != "hi" {
				t.Errorf("got %v, %v", r, err)
			}
			if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
				t.Errorf("got %v, want the end", err)
			}
		})
	}
	streams.Wait()
	if n := s.state().Usable; n != 1 {
		t.Errorf("%d instances are usable, want the one that answers", n)
	}
	for _, in := range s.state().Instances {
		eventually(t, in.ID+" to be left alone", func() bool { return inFlight(s, in.ID) == 0 })
	}
}

func TestStreamsThatMayNotBeStartedAgainEjectAnInstanceThatIsStopped(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: file(t, "rpc.balancer", "round_robin", "rpc.silence", "1s",
		"rpc.outlier.ejection", "1h", "rpc.outlier.ejection_max", "1h")})
	hole := s.start("hole")
	s.start("b")
	s.usable(2)
	hole.listener.blackHole()
	for range 2 { // in turns: one of them waits for the silent instance
		stream, err := s.echo.Chat(within(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(&echov1.EchoRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the silent instance to be ejected", func() bool { return s.state().Usable == 1 })
}

func TestStreamThatWaitsLongForItsFirstMessageIsNotGivenUp(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: file(t, "rpc.silence", "1s")})
	var starts atomic.Int64
	slow := watching(func(r *echov1.EchoRequest, stream watchStream) error {
		starts.Add(1)
		<-time.After(3500 * time.Millisecond) // two silences and more
		return once(r, stream)
	})
	s.start("a", slow)
	s.start("b", slow)
	s.usable(2)
	stream, err := s.echo.Watch(within(t), &echov1.EchoRequest{Text: "hi"})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := stream.Recv(); err != nil || r.GetText() != "hi" {
		t.Errorf("got %v, %v", r, err)
	}
	if n := starts.Load(); n != 1 || s.state().Usable != 2 {
		t.Errorf("started %d times, %d instances are usable; want once, and both", n, s.state().Usable)
	}
}

// once sends one message and ends.
func once(r *echov1.EchoRequest, stream watchStream) error {
	return stream.Send(&echov1.EchoResponse{Text: r.GetText()})
}

// inFlight is how many calls the client has on an instance.
func inFlight(s *system, id string) int64 {
	for _, in := range s.state().Instances {
		if in.ID == id {
			return in.InFlight
		}
	}
	return 0
}
