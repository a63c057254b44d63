package rpc_test

import (
	"context"
	"sync"
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
