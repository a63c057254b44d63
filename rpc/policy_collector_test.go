package rpc_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"

	echov1 "github.com/gowarren/warren/rpc/internal/testpb/echo/v1"

	"github.com/gowarren/warren/rpc"
)

// TestPoliciesInForceAreMeasured shows what holds for a method that was called,
// and nothing of methods that no contract describes.
func TestPoliciesInForceAreMeasured(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: file(t, "rpc.retry.attempts", "4", "rpc.hedge.delay", "250ms")})
	s.start("a")
	s.usable(1)
	if err := s.say(within(t)); err != nil {
		t.Fatal(err)
	}
	for _, call := range []func(context.Context, *echov1.EchoRequest, ...grpc.CallOption) (*echov1.EchoResponse, error){s.echo.SignedIn, s.echo.Low} {
		if _, err := call(within(t), &echov1.EchoRequest{Text: "hello"}); err != nil { // one must not be repeated, one has no contract here
			t.Fatal(err)
		}
	}
	public, once := echov1.EchoService_Public_FullMethodName[1:], echov1.EchoService_SignedIn_FullMethodName[1:]
	for name, want := range map[string][2]float64{
		"warren_rpc_timeout_seconds": {15, 15}, "warren_rpc_attempts": {4, 1}, "warren_rpc_hedge_delay_seconds": {0.25, 0},
	} {
		if got := total(t, s.metrics, name, public); got != want[0] {
			t.Errorf("%s of %s is %v, want %v", name, public, got, want[0])
		}
		if got := total(t, s.metrics, name, once); got != want[1] {
			t.Errorf("%s of %s is %v, want %v", name, once, got, want[1])
		}
		if all := total(t, s.metrics, name); all != want[0]+want[1] {
			t.Errorf("%s of all methods is %v", name, all)
		}
	}
}
