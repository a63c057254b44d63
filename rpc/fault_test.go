package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	echov1 "github.com/gowarren/warren/rpc/internal/testpb/echo/v1"

	rpcv1 "github.com/gowarren/warren/api/warren/rpc/v1"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/config/fileconfig"
	"github.com/gowarren/warren/rpc"
)

// faulty is a centre in which a test writes faults, and the settings that obey.
type faulty struct {
	t        *testing.T
	settings *config.Settings
	centre   *config.Centre
}

func newFaulty(t *testing.T) *faulty {
	t.Helper()
	d, err := fileconfig.Open(t.Context(), &url.URL{Scheme: "file", Path: filepath.Join(t.TempDir(), "settings.json")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	f := &faulty{t: t}
	if f.settings, err = config.New(config.Options{Driver: d, Service: "echo", File: fileLayer("rpc.timeout", "15s"), Definitions: rpc.Definitions()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.settings.Close() })
	if f.centre, err = config.NewCentre(d, "local"); err != nil {
		t.Fatal(err)
	}
	return f
}

// set writes a fault that ends after a time; "" takes it back.
func (f *faulty) set(scope config.Scope, name, what string, ends time.Duration) {
	f.t.Helper()
	edit := config.Edit{Name: name, Scope: scope}
	if what != "" {
		text := fmt.Sprintf("experiment=try until=%s %s", time.Now().Add(ends).UTC().Format(time.RFC3339Nano), what)
		edit.New = &text
	}
	eventually(f.t, "the definitions to be published", func() bool {
		_, err := f.centre.Set(f.t.Context(), []config.Edit{edit}, "test", "to see")
		return err == nil
	})
}

func TestFaultsOfServer(t *testing.T) {
	f := newFaulty(t)
	s := serve(t, rpc.ServerOptions{Settings: f.settings}, &echo{})
	call := func() error {
		_, err := s.client.Public(t.Context(), &echov1.EchoRequest{Text: "x"})
		return err
	}
	if err := call(); err != nil {
		t.Fatal(err)
	}
	public := config.Scope{Service: "echo", Method: echov1.EchoService_Public_FullMethodName}
	f.set(public, "rpc.fault.error", "code=ABORTED", time.Hour)
	eventually(t, "calls to fail", func() bool { return call() != nil })
	err := call()
	if e := rpc.FromError(err); !errors.Is(e, rpc.Reason(rpcv1.Reason_REASON_FAULT_INJECTED)) ||
		e.Code != codes.Aborted || e.Metadata["experiment"] != "try" {
		t.Errorf("got %v", err)
	}
	if _, err := s.client.Quick(t.Context(), &echov1.EchoRequest{Text: "x"}); err != nil {
		t.Errorf("another method: %v", err)
	}
	if n := total(t, s.metrics, "warren_rpc_faults_total", "error", "echo.v1.EchoService/Public"); n < 2 {
		t.Errorf("%v faults counted", n)
	}
	f.set(public, "rpc.fault.error", "", 0)
	eventually(t, "calls to succeed once it is taken back", func() bool { return call() == nil })

	f.set(public, "rpc.fault.error", "share=0", time.Hour)
	f.set(config.Scope{Service: "echo"}, "rpc.fault.latency", "delay=10s", time.Hour)
	eventually(t, "calls to be slow", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := s.client.Public(ctx, &echov1.EchoRequest{Text: "x"})
		return status.Code(err) == codes.DeadlineExceeded
	})
	f.set(config.Scope{Service: "echo"}, "rpc.fault.latency", "delay=10s until=nonsense", time.Hour)
	eventually(t, "nonsense to be no fault", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := s.client.Public(ctx, &echov1.EchoRequest{Text: "x"})
		return err == nil
	})
	if !strings.Contains(s.logs.String(), "fault not obeyed") {
		t.Error("nonsense is not told")
	}
}

// Nobody takes the fault back: its own word ends it.
func TestFaultEndsByItself(t *testing.T) {
	f := newFaulty(t)
	s := serve(t, rpc.ServerOptions{Settings: f.settings}, &echo{})
	call := func() error {
		_, err := s.client.Public(t.Context(), &echov1.EchoRequest{Text: "x"})
		return err
	}
	f.set(config.Scope{Service: "echo"}, "rpc.fault.error", "code=INTERNAL", 2*time.Second)
	eventually(t, "calls to fail", func() bool { return call() != nil })
	eventually(t, "calls to succeed again", func() bool { return call() == nil })
	f.set(config.Scope{Service: "echo"}, "rpc.fault.error", "code=INTERNAL", 100*time.Hour)
	f.set(config.Scope{Method: echov1.EchoService_Quick_FullMethodName}, "rpc.fault.error", "code=INTERNAL", time.Hour)
	eventually(t, "the second to hold", func() bool {
		_, err := s.client.Quick(t.Context(), &echov1.EchoRequest{Text: "x"})
		return err != nil
	})
	if err := call(); err != nil {
		t.Errorf("a fault of four days is obeyed: %v", err)
	}
}

func TestPartition(t *testing.T) {
	f := newFaulty(t)
	s := newSystem(t, rpc.ClientOptions{Settings: f.settings})
	s.start("a")
	b := s.start("b")
	s.usable(2)
	if err := s.say(within(t)); err != nil {
		t.Fatal(err)
	}
	f.set(config.Scope{Service: "echo"}, "rpc.fault.partition", "to=echo", time.Hour) // the caller is called echo, too
	eventually(t, "calls to be lost", func() bool { return s.say(within(t)) != nil })
	seen := s.nodes[0].calls.Load() + b.calls.Load()
	eventually(t, "breakers to open", func() bool {
		return errors.Is(s.say(within(t)), rpc.Reason(rpcv1.Reason_REASON_BREAKER_OPEN))
	})
	if stream, err := s.echo.Watch(within(t), &echov1.EchoRequest{}); err == nil {
		if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
			t.Errorf("stream: %v", err)
		}
	} else if status.Code(err) != codes.Unavailable {
		t.Errorf("stream: %v", err)
	}
	if after := s.nodes[0].calls.Load() + b.calls.Load(); after != seen {
		t.Errorf("%d calls came through", after-seen)
	}
	f.set(config.Scope{Service: "echo"}, "rpc.fault.partition", "", 0)
	eventually(t, "calls to come through", func() bool { return s.say(within(t)) == nil })
}
