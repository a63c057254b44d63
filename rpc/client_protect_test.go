package rpc_test

import (
	"context"
	"errors"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	rpcv1 "github.com/gowarren/warren/api/warren/rpc/v1"
	echov1 "github.com/gowarren/warren/rpc/internal/testpb/echo/v1"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/config/fileconfig"
	"github.com/gowarren/warren/rpc"
)

// failing makes an instance fail with a code while the switch is on.
func failing(code codes.Code, on *atomic.Bool) func(*node) {
	return func(n *node) {
		n.handle = func(context.Context, *echov1.EchoRequest) (*echov1.EchoResponse, error) {
			if on.Load() {
				return nil, status.Error(code, "as the test wants")
			}
			return &echov1.EchoResponse{}, nil
		}
	}
}

func TestBudgetStopsRetryStorm(t *testing.T) {
	// Breaker and ejection would end the storm too: they are out of the way.
	s := newSystem(t, rpc.ClientOptions{Settings: file(t, "rpc.breaker.calls", "10000", "rpc.outlier.share", "0",
		"rpc.retry.reserve", "0")}) // the reserve is per second, and seconds pass in busy machines
	var on atomic.Bool
	on.Store(true)
	a, b := s.start("a", failing(codes.Unavailable, &on)), s.start("b", failing(codes.Unavailable, &on))
	s.usable(2)
	const calls = 2000
	for range calls {
		if err := s.say(within(t)); status.Code(err) != codes.Unavailable {
			t.Fatalf("got %v", err)
		}
	}
	if n := a.calls.Load() + b.calls.Load(); n > calls*12/10 || n < calls*105/100 {
		t.Errorf("%d calls became %d attempts, want some more, and at most a fifth", calls, n)
	}
	if total(t, s.metrics, "warren_rpc_retries_total", "over_budget") == 0 {
		t.Error("refused retries were not counted")
	}
}

func TestRetryOfRetryIsNotMade(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{})
	var on atomic.Bool
	on.Store(true)
	a := s.start("a", failing(codes.Unavailable, &on))
	s.usable(1)
	ctx := metadata.NewIncomingContext(within(t), metadata.Pairs(rpc.MetadataAttempt, "2"))
	if err := s.say(ctx); status.Code(err) != codes.Unavailable {
		t.Errorf("got %v", err)
	}
	if n := a.calls.Load(); n != 1 {
		t.Errorf("a call made for a repeat was sent %d times", n)
	}
}

func TestRepeatsAreNumbered(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{})
	var numbers []string
	s.start("a", func(n *node) {
		n.handle = func(ctx context.Context, _ *echov1.EchoRequest) (*echov1.EchoResponse, error) {
			numbers = append(numbers, append(metadata.ValueFromIncomingContext(ctx, rpc.MetadataAttempt), "")[0])
			return nil, status.Error(codes.Unavailable, "no")
		}
	})
	_ = s.say(within(t))
	if len(numbers) != 3 || numbers[0] != "" || numbers[1] != "2" || numbers[2] != "3" {
		t.Errorf("attempts were numbered %q", numbers)
	}
}

func TestPushbackIsHonoured(t *testing.T) {
	for _, c := range []struct {
		name, pushback string
		code           codes.Code
		attempts       int64
	}{
		{"never", "-1", codes.Unavailable, 1},
		{"not a number", "soon", codes.Unavailable, 1},
		{"after a moment", "1", codes.ResourceExhausted, 3},
		{"exhausted without a word", "", codes.ResourceExhausted, 1},
		{"after the deadline", "60000", codes.Unavailable, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSystem(t, rpc.ClientOptions{})
			a := s.start("a", func(n *node) {
				n.handle = func(ctx context.Context, _ *echov1.EchoRequest) (*echov1.EchoResponse, error) {
					if c.pushback != "" {
						_ = grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", c.pushback))
					}
					return nil, status.Error(c.code, "no")
				}
			})
			if err := s.say(within(t)); status.Code(err) != c.code {
				t.Errorf("got %v", err)
			}
			if n := a.calls.Load(); n != c.attempts {
				t.Errorf("%d attempts, want %d", n, c.attempts)
			}
		})
	}
}

func TestHedgeAnswersWhenTheFirstInstanceIsSlow(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: file(t, "rpc.hedge.delay", "5ms", "rpc.timeout", "20s", "rpc.balancer", "round_robin")})
	cancelled := make(chan struct{}, 100)
	s.start("slow", func(n *node) {
		n.handle = func(ctx context.Context, _ *echov1.EchoRequest) (*echov1.EchoResponse, error) {
			<-ctx.Done()
			cancelled <- struct{}{}
			return nil, ctx.Err()
		}
	})
	s.start("fast")
	s.usable(2)
	for range 6 {
		r, err := s.echo.Public(within(t), &echov1.EchoRequest{Text: "hi"})
		if err != nil || r.GetText() != "hi" {
			t.Fatalf("got %v, %v", r, err)
		}
	}
	if n := total(t, s.metrics, "warren_rpc_retries_total", "hedge"); n < 2 {
		t.Errorf("%v hedges, want one for each call that went to the slow instance", n)
	}
	<-cancelled // the loser is told
}

func TestBreakerOpens(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: file(t, "rpc.breaker.calls", "5", "rpc.breaker.open", "1h", "rpc.retry.attempts", "1")})
	var on atomic.Bool
	on.Store(true)
	a := s.start("a", failing(codes.Internal, &on))
	s.usable(1)
	for range 5 {
		_ = s.say(within(t))
	}
	wantReason(t, s.say(within(t)), codes.Unavailable, rpcv1.Reason_REASON_BREAKER_OPEN)
	if n := a.calls.Load(); n != 5 {
		t.Errorf("%d calls reached the instance, want 5", n)
	}
	if got := s.state().Instances[0].Breakers[echov1.EchoService_Public_FullMethodName]; got != "open" {
		t.Errorf("breaker is %s, want open", got)
	}
	if total(t, s.metrics, "warren_rpc_breaker_state", "open") != 1 {
		t.Error("the open breaker is not in the metrics")
	}
	// Other methods of the instance are not its concern.
	if _, err := s.echo.SignedIn(within(t), &echov1.EchoRequest{}); status.Code(err) != codes.Internal {
		t.Errorf("another method: %v", err)
	}
}

// Those whom an open breaker sends away are told when it lets calls through, not
// for how long it was opened, and not all the same moment.
func TestBreakerTellsWhenToComeBack(t *testing.T) {
	const open = 10 * time.Second
	s := newSystem(t, rpc.ClientOptions{Settings: file(t, "rpc.breaker.calls", "1", "rpc.breaker.open", open.String(), "rpc.retry.attempts", "1")})
	var on atomic.Bool
	on.Store(true)
	s.start("a", failing(codes.Internal, &on))
	s.usable(1)
	_ = s.say(within(t))
	told := map[time.Duration]bool{}
	for range 20 {
		e := wantReason(t, s.say(within(t)), codes.Unavailable, rpcv1.Reason_REASON_BREAKER_OPEN)
		if e.RetryAfter <= 0 || e.RetryAfter > open+open/2 {
			t.Fatalf("told to come back after %s", e.RetryAfter)
		}
		told[e.RetryAfter] = true
	}
	if len(told) < 10 {
		t.Errorf("20 callers were told %d moments", len(told))
	}
}

func TestBreakerTriesAndCloses(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: file(t,
		"rpc.breaker.calls", "5", "rpc.breaker.open", "50ms", "rpc.breaker.probes", "2", "rpc.retry.attempts", "1")})
	var on atomic.Bool
	on.Store(true)
	a := s.start("a", failing(codes.Internal, &on))
	s.usable(1)
	eventually(t, "the breaker to try and to open again", func() bool { _ = s.say(within(t)); return a.calls.Load() >= 8 })
	on.Store(false)
	eventually(t, "the breaker to close", func() bool {
		_ = s.say(within(t))
		return s.state().Instances[0].Breakers[echov1.EchoService_Public_FullMethodName] == "closed"
	})
}

func TestClientMistakesOpenNoBreaker(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: file(t, "rpc.breaker.calls", "5", "rpc.outlier.failures", "5")})
	var on atomic.Bool
	on.Store(true)
	for _, code := range []codes.Code{codes.InvalidArgument, codes.NotFound, codes.PermissionDenied, codes.Unauthenticated, codes.FailedPrecondition, codes.Aborted} {
		n := s.start(code.String(), failing(code, &on))
		s.usable(1)
		for range 20 {
			if err := s.say(within(t)); status.Code(err) != code {
				t.Fatalf("got %v, want %v", err, code)
			}
		}
		s.remove(n)
		s.usable(0)
	}
}

func TestCancelledCallsOpenNoBreaker(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: file(t, "rpc.breaker.calls", "5", "rpc.outlier.failures", "5")})
	entered := make(chan struct{})
	var block atomic.Bool
	block.Store(true)
	s.start("a", func(n *node) {
		n.handle = func(ctx context.Context, _ *echov1.EchoRequest) (*echov1.EchoResponse, error) {
			if block.Load() {
				entered <- struct{}{}
				<-ctx.Done()
			}
			return &echov1.EchoResponse{}, ctx.Err()
		}
	})
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-entered; cancel() }()
		if err := s.say(ctx); status.Code(err) != codes.Canceled {
			t.Fatalf("got %v", err)
		}
	}
	block.Store(false)
	if err := s.say(within(t)); err != nil {
		t.Errorf("after 20 cancelled calls: %v", err)
	}
}

func TestAtMostHalfOfTheInstancesAreEjected(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: file(t,
		"rpc.outlier.failures", "3", "rpc.breaker.calls", "10000", "rpc.retry.attempts", "1")})
	var on atomic.Bool
	on.Store(true)
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		s.start(id, failing(codes.Internal, &on))
	}
	s.usable(5)
	for range 300 {
		_ = s.say(within(t))
	}
	if usable := s.state().Usable; usable != 3 {
		t.Errorf("%d of 5 failing instances are usable, want 3", usable)
	}
}

func TestEjectedInstanceComesBack(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: file(t, "rpc.outlier.failures", "3", "rpc.outlier.ejection", "30ms", "rpc.balancer", "round_robin")})
	var on atomic.Bool
	on.Store(true)
	a := s.start("a", failing(codes.Unavailable, &on))
	s.start("b")
	s.usable(2)
	eventually(t, "ejection", func() bool { _ = s.say(within(t)); return s.state().Usable == 1 })
	on.Store(false)
	before := a.calls.Load()
	eventually(t, "the return", func() bool { _ = s.say(within(t)); return a.calls.Load() > before+3 })
}

func TestBlackHoleIsLeftAlone(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: file(t, "rpc.balancer", "round_robin", "rpc.timeout", "3s", "rpc.outlier.failures", "2", "rpc.outlier.ejection", "1h", "rpc.outlier.ejection_max", "1h")})
	hole := s.start("hole")
	s.start("b")
	s.start("c")
	s.usable(3)
	hole.listener.blackHole()
	eventually(t, "the black hole to be ejected", func() bool {
		var calls sync.WaitGroup
		for range 6 { // two for each instance
			calls.Go(func() { _, _ = s.echo.SignedIn(within(t), &echov1.EchoRequest{}) })
		}
		calls.Wait()
		return s.state().Usable == 2
	})
	for range 200 {
		if _, err := s.echo.SignedIn(within(t), &echov1.EchoRequest{}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSlowInstanceGetsFewCalls(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{})
	slow := s.start("slow", func(n *node) {
		n.handle = func(ctx context.Context, _ *echov1.EchoRequest) (*echov1.EchoResponse, error) {
			<-time.After(100 * time.Millisecond)
			return &echov1.EchoResponse{}, nil
		}
	})
	s.start("b")
	s.start("c")
	s.usable(3)
	for range 1000 {
		if err := s.say(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	if n := slow.calls.Load(); n > 100 {
		t.Errorf("the slow instance got %d of 1000 calls", n)
	}
}

func TestKeySticksToAnInstance(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: file(t, "rpc.balancer", "hash")})
	for _, id := range []string{"a", "b", "c", "d"} {
		s.start(id)
	}
	s.usable(4)
	ctx := rpc.WithKey(within(t), "basket-17")
	for range 50 {
		if err := s.say(ctx); err != nil {
			t.Fatal(err)
		}
	}
	used := 0
	for _, n := range s.nodes {
		if n.calls.Load() > 0 {
			used++
		}
	}
	if used != 1 {
		t.Errorf("calls of one key went to %d instances", used)
	}
}

func TestOwnZoneIsPreferredWhileItCanBeReached(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Zone: "east"})
	in := func(zone string) func(*node) { return func(n *node) { n.info.Zone = zone } }
	near := []*node{s.start("a", in("east")), s.start("b", in("east")), s.start("c", in("east"))}
	far := s.start("d", in("west"))
	s.usable(4)
	for range 50 {
		if err := s.say(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	if far.calls.Load() != 0 {
		t.Errorf("%d calls left the zone", far.calls.Load())
	}
	near[0].kill()
	near[1].kill()
	s.usable(2)
	for range 50 {
		if err := s.say(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	if far.calls.Load() == 0 {
		t.Error("the last instance of the zone got all calls")
	}
}

func TestOverloadIsThrottledAtTheCaller(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: file(t, "rpc.throttle.window", "1s", "rpc.retry.attempts", "1")})
	var on atomic.Bool
	on.Store(true)
	a := s.start("a", func(n *node) {
		n.handle = func(context.Context, *echov1.EchoRequest) (*echov1.EchoResponse, error) {
			if on.Load() {
				return nil, rpc.Errorf(rpcv1.Reason_REASON_OVERLOADED, "too much to do")
			}
			return &echov1.EchoResponse{}, nil
		}
	})
	s.usable(1)
	eventually(t, "calls to be held back", func() bool {
		return errors.Is(s.say(within(t)), rpc.Reason(rpcv1.Reason_REASON_THROTTLED))
	})
	if total(t, s.metrics, "warren_rpc_throttled_total") == 0 || a.calls.Load() < 10 {
		t.Error("throttled too early, or not counted")
	}
	on.Store(false)
	eventually(t, "all calls to pass again", func() bool {
		for range 20 {
			if s.say(within(t)) != nil {
				return false
			}
		}
		return true
	})
}

func TestQuotaOfOneCallerThrottlesNobody(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{})
	s.start("a", func(n *node) {
		n.handle = func(context.Context, *echov1.EchoRequest) (*echov1.EchoResponse, error) {
			return nil, rpc.Errorf(echov1.Reason_TOO_LOUD, "enough")
		}
	})
	s.usable(1)
	for range 200 {
		if err := s.say(within(t)); !errors.Is(err, rpc.Reason(echov1.Reason_TOO_LOUD)) {
			t.Fatalf("got %v", err)
		}
	}
}

func TestChangedSettingIsObeyedAtOnce(t *testing.T) {
	folder := t.TempDir()
	d, err := fileconfig.Open(t.Context(), &url.URL{Scheme: "file", Path: filepath.Join(folder, "settings.json")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	settings, err := config.New(config.Options{Driver: d, Service: "storefront", Definitions: rpc.Definitions()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { settings.Close() })
	centre, err := config.NewCentre(d, "local")
	if err != nil {
		t.Fatal(err)
	}
	s := newSystem(t, rpc.ClientOptions{Settings: settings})
	s.start("a", func(n *node) {
		n.handle = func(ctx context.Context, _ *echov1.EchoRequest) (*echov1.EchoResponse, error) {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(50 * time.Millisecond):
				return &echov1.EchoResponse{}, nil
			}
		}
	})
	if err := s.say(within(t)); err != nil {
		t.Fatal(err)
	}
	set := func(value string) {
		scope := config.Scope{Method: echov1.EchoService_Public_FullMethodName}
		eventually(t, "the definitions to be published", func() bool {
			_, err := centre.Set(t.Context(), []config.Edit{{Name: "rpc.timeout", Scope: scope, New: &value}}, "test", "to see")
			return err == nil
		})
	}
	set("10ms")
	eventually(t, "calls to time out", func() bool { return status.Code(s.say(within(t))) == codes.DeadlineExceeded })
	set("5s")
	eventually(t, "calls to succeed", func() bool { return s.say(within(t)) == nil })
}
