package rpc_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	rpcv1 "github.com/gowarren/warren/api/warren/rpc/v1"
	echov1 "github.com/gowarren/warren/rpc/internal/testpb/echo/v1"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/rpc"
)

func TestClientSpreadsCallsAndMeasuresThem(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{})
	a, b := s.start("a"), s.start("b")
	s.usable(2)
	for range 200 {
		if err := s.say(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	if a.calls.Load() == 0 || b.calls.Load() == 0 || a.calls.Load()+b.calls.Load() != 200 {
		t.Errorf("calls: %d and %d, want 200, shared", a.calls.Load(), b.calls.Load())
	}
	if n := total(t, s.metrics, "rpc_client_call_duration_seconds", echoContract+"/Public", "OK"); n != 200 {
		t.Errorf("measured %v calls, want 200", n)
	}
	if a.peers.made.Load() != 1 || b.peers.made.Load() != 1 {
		t.Errorf("connections: %d and %d, want one each", a.peers.made.Load(), b.peers.made.Load())
	}
}

func TestClientUsesTheSocketOnItsOwnHost(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Host: "here"})
	s.start("near", func(n *node) {
		n.info.Host, n.info.Socket, n.info.Address = "here", filepath.Join(t.TempDir(), "s"), "127.0.0.1:1"
	})
	if err := s.say(within(t)); err != nil {
		t.Fatal(err)
	}
	if at := s.state().Instances[0].Address; !strings.HasPrefix(at, "unix:") {
		t.Errorf("called at %s, want the socket", at)
	}
}

func TestCallsWaitForTheFirstInstance(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: file(t, "rpc.wait", "10s", "rpc.timeout", "10s")})
	result := make(chan error, 1)
	go func() { result <- s.say(within(t)) }()
	eventually(t, "the call to wait", func() bool { return s.state().Contract != "" })
	s.start("late")
	if err := <-result; err != nil {
		t.Errorf("call that began before the instance: %v", err)
	}
}

func TestNoInstanceIsToldAsSuch(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: file(t, "rpc.wait", "0s")})
	err := s.say(within(t))
	wantReason(t, err, codes.Unavailable, rpcv1.Reason_REASON_NO_INSTANCE)
	if rpc.FromError(err).RetryAfter == 0 {
		t.Error("it does not say when to try again")
	}
	if s.client.Ready(echoContract) {
		t.Error("ready without an instance")
	}
}

func TestKillLosesNoIdempotentCall(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: patient(t)})
	nodes := []*node{s.start("a"), s.start("b"), s.start("c")}
	s.usable(3)
	stop := s.load(16, s.say)
	for _, n := range []*node{nodes[0], nodes[1], nodes[0], nodes[2]} {
		before := n.calls.Load()
		eventually(t, "calls to arrive", func() bool { return n.calls.Load() > before+200 })
		n.kill()
		eventually(t, "the others to be used", func() bool { return s.state().Usable == 2 })
		s.serve(n)
		s.usable(3)
	}
	if n, err := stop(); err != nil {
		t.Errorf("of %d calls, one failed: %v", n, err)
	}
}

func TestSentCallIsNotRepeatedUnlessTheContractAllows(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{})
	fail := func(context.Context, *echov1.EchoRequest) (*echov1.EchoResponse, error) {
		return nil, status.Error(codes.Unavailable, "no")
	}
	a, b := s.start("a", func(n *node) { n.handle = fail }), s.start("b", func(n *node) { n.handle = fail })
	s.usable(2)
	if _, err := s.echo.SignedIn(within(t), &echov1.EchoRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("got %v", err)
	}
	if n := a.calls.Load() + b.calls.Load(); n != 1 {
		t.Errorf("a call that is not idempotent was sent %d times", n)
	}
	if err := s.say(within(t)); status.Code(err) != codes.Unavailable {
		t.Errorf("got %v", err)
	}
	if n := a.calls.Load() + b.calls.Load(); n != 4 {
		t.Errorf("an idempotent call was sent %d times, want 3", n-1)
	}
}

func TestRetryGoesElsewhere(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{})
	s.start("bad", func(n *node) {
		n.handle = func(context.Context, *echov1.EchoRequest) (*echov1.EchoResponse, error) {
			return nil, status.Error(codes.Unavailable, "no")
		}
	})
	s.start("good")
	s.usable(2)
	for range 20 {
		if err := s.say(within(t)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNeverSentCallGoesElsewhereWhateverTheContractSays(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: patient(t)})
	n := s.start("a")
	s.usable(1)
	// Stop closes the listener and the connection: until the client learns
	// of it, calls find the connection gone.
	stop := s.load(8, func(ctx context.Context) error {
		_, err := s.echo.SignedIn(ctx, &echov1.EchoRequest{})
		return err
	})
	for i := range 5 {
		next := s.start(string(rune('b' + i)))
		s.usable(2)
		eventually(t, "calls to arrive", func() bool { return next.calls.Load() > 50 })
		s.remove(n)
		eventually(t, "the client to have left", func() bool { return n.peers.open.Load() == 0 })
		n.kill()
		n = next
	}
	if calls, err := stop(); err != nil {
		t.Errorf("of %d calls, one failed: %v", calls, err)
	}
}

func TestDrainingInstanceFinishesItsCalls(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: file(t, "rpc.timeout", "20s")})
	entered, leave := make(chan struct{}), make(chan struct{})
	a := s.start("a", func(n *node) {
		n.handle = func(ctx context.Context, _ *echov1.EchoRequest) (*echov1.EchoResponse, error) {
			close(entered)
			select {
			case <-leave:
				return &echov1.EchoResponse{}, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	})
	result := make(chan error, 1)
	go func() { result <- s.say(within(t)) }()
	<-entered
	b := s.start("b")
	s.usable(2)
	a.info.State = registry.Draining
	s.publish()
	s.usable(1)
	for range 20 {
		if err := s.say(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	if b.calls.Load() != 20 || a.peers.open.Load() != 1 {
		t.Errorf("%d new calls at b, %d connections to a; want 20 and 1", b.calls.Load(), a.peers.open.Load())
	}
	close(leave)
	if err := <-result; err != nil {
		t.Errorf("call in flight at a draining instance: %v", err)
	}
	eventually(t, "the connection to end", func() bool { return a.peers.open.Load() == 0 })
}

func TestRollingChangesKeepConnectionsAndStatistics(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: patient(t)})
	stay := []*node{s.start("stay-1"), s.start("stay-2")}
	s.usable(2)
	stop := s.load(8, s.say)
	eventually(t, "latency to be learned", func() bool { return s.state().Instances[0].Latency > 0 })
	tick := time.NewTicker(20 * time.Millisecond) // 50 changes a second
	defer tick.Stop()
	var last *node
	for i := range 100 {
		<-tick.C
		if last == nil {
			last = s.start("guest-" + string(rune('a'+i%7)))
			continue
		}
		guest := last
		last = nil
		s.remove(guest)
		go func() { // a drained instance ends when its callers have gone
			for guest.peers.open.Load() > 0 {
				<-time.After(time.Millisecond)
			}
			guest.server.GracefulStop()
		}()
	}
	if n, err := stop(); err != nil {
		t.Errorf("of %d calls during 100 changes, one failed: %v", n, err)
	}
	for _, n := range stay {
		if made := n.peers.made.Load(); made != 1 {
			t.Errorf("%s was connected %d times", n.info.ID, made)
		}
	}
	for _, in := range s.state().Instances {
		if in.Latency == 0 {
			t.Errorf("the latency of %s was forgotten", in.ID)
		}
	}
}

func TestCallsCarryWhoCallsAndForWhom(t *testing.T) {
	key, err := auth.NewServiceKey([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	s := newSystem(t, rpc.ClientOptions{Service: "storefront", ServiceKey: key})
	var seen atomic.Pointer[metadata.MD]
	s.start("a", func(n *node) {
		n.handle = func(ctx context.Context, _ *echov1.EchoRequest) (*echov1.EchoResponse, error) {
			md, _ := metadata.FromIncomingContext(ctx)
			seen.Store(&md)
			return &echov1.EchoResponse{}, nil
		}
	})
	ctx := auth.NewContext(within(t), auth.Caller{Subject: "u1", Token: "the.user.token"})
	ctx = metadata.NewIncomingContext(ctx, metadata.Pairs(rpc.MetadataRequestID, "r-7"))
	if err := s.say(ctx); err != nil {
		t.Fatal(err)
	}
	md := *seen.Load()
	if got := md.Get(rpc.MetadataAuthorization); len(got) != 1 || got[0] != "Bearer the.user.token" {
		t.Errorf("authorization = %v", got)
	}
	if got := md.Get(rpc.MetadataRequestID); len(got) != 1 || got[0] != "r-7" {
		t.Errorf("request id = %v", got)
	}
	if service, err := key.Verify(md.Get(rpc.MetadataService)[0]); err != nil || service != "storefront" {
		t.Errorf("service = %s, %v", service, err)
	}
	if got := md.Get(rpc.MetadataAttempt); len(got) != 0 {
		t.Errorf("attempt = %v on a first attempt", got)
	}
}

func TestBroadcastReachesEveryInstance(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{})
	a, b := s.start("a"), s.start("b")
	s.start("c", func(n *node) {
		n.handle = func(context.Context, *echov1.EchoRequest) (*echov1.EchoResponse, error) {
			return nil, status.Error(codes.Internal, "broken")
		}
	})
	s.start("other", func(n *node) { n.info.Service = "elsewhere" })
	s.usable(4)
	errs := s.client.Broadcast(within(t), "echo", echov1.EchoService_Public_FullMethodName,
		&echov1.EchoRequest{}, func() any { return new(echov1.EchoResponse) })
	if a.calls.Load() != 1 || b.calls.Load() != 1 || s.nodes[3].calls.Load() != 0 {
		t.Errorf("calls: %d, %d, %d elsewhere", a.calls.Load(), b.calls.Load(), s.nodes[3].calls.Load())
	}
	if len(errs) != 1 || !strings.Contains(errs[0].Error(), "instance c") {
		t.Errorf("errors = %v, want the one of c", errs)
	}
}

func TestErrorsKeepTheirReasonAcrossTheWire(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{})
	s.start("a", func(n *node) {
		n.handle = func(context.Context, *echov1.EchoRequest) (*echov1.EchoResponse, error) {
			return nil, rpc.Errorf(echov1.Reason_REASON_NO_ECHO, "nobody there")
		}
	})
	if err := s.say(within(t)); !errors.Is(err, rpc.Reason(echov1.Reason_REASON_NO_ECHO)) {
		t.Errorf("got %v, want the reason", err)
	}
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Run("use", func(t *testing.T) {
		s := newSystem(t, rpc.ClientOptions{})
		s.start("a")
		s.start("b")
		s.usable(2)
		for range 50 {
			ctx, cancel := context.WithCancel(t.Context())
			if _, err := s.echo.Chat(ctx); err != nil { // and never read
				t.Fatal(err)
			}
			if err := s.say(ctx); err != nil {
				t.Fatal(err)
			}
			cancel()
		}
	})
	goleak.VerifyNone(t, before)
}

func TestLinkedContractSaysWhatMayBeRepeated(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Methods: func(string) *contract.Method { return nil }})
	linked, err := rpc.NewClient(rpc.ClientOptions{Registry: s.registry})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { linked.Close() })
	var on atomic.Bool
	on.Store(true)
	a := s.start("a", failing(codes.Unavailable, &on))
	s.usable(1)
	for _, c := range []struct {
		echo  echov1.EchoServiceClient
		calls int64
	}{{s.echo, 1}, {echov1.NewEchoServiceClient(linked), 3}} {
		before := a.calls.Load()
		if _, err := c.echo.Public(within(t), &echov1.EchoRequest{}); status.Code(err) != codes.Unavailable {
			t.Errorf("got %v", err)
		}
		if n := a.calls.Load() - before; n != c.calls {
			t.Errorf("%d attempts, want %d", n, c.calls)
		}
	}
}
