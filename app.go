package warren

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	peerv1 "github.com/gowarren/warren/api/warren/peer/v1"
	"github.com/gowarren/warren/cache"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/node"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/telemetry"
)

// App is one service, running. Contracts are registered with it and called
// through it: it is a grpc.ServiceRegistrar and a grpc.ClientConnInterface, so
// the constructors that protobuf generates take it as it is.
//
// What registers something (RegisterService, Handle, Check, Needs, Go,
// OnStop, Database) belongs into setup; the rest may be used at any time and
// concurrently.
type App struct {
	node    *node.Node
	server  *rpc.Server
	http    *httpServer
	peers   *peers
	engines enginesInUse

	participation Participation
	participants  atomic.Pointer[participants]

	ctx context.Context // ends when the service begins to drain
}

var (
	_ grpc.ServiceRegistrar    = (*App)(nil)
	_ grpc.ClientConnInterface = (*App)(nil)
)

func newApp(ctx context.Context, n *node.Node) *App {
	a := &App{node: n, http: newHTTPServer(n.Telemetry, n.Key), peers: newPeers(n), ctx: ctx}
	a.server = rpc.NewServer(rpc.ServerOptions{
		Settings: n.Settings, Tracer: n.Telemetry.Tracer(), Metrics: n.Telemetry.Metrics(), Logger: n.Logger(),
		Verifier: n.Verifier, ServiceKey: n.Key, Intercept: []grpc.UnaryServerInterceptor{a.intercept},
	})
	peerv1.RegisterPeerServiceServer(a.server, a.peers)
	return a
}

// RegisterService adds the implementation of a contract. The generated
// Register…Server functions call it.
func (a *App) RegisterService(desc *grpc.ServiceDesc, impl any) { a.server.RegisterService(desc, impl) }

// Invoke calls a method by contract, on whichever instance serves it. The
// generated clients call it.
func (a *App) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	return a.node.Client.Invoke(ctx, method, args, reply, opts...)
}

// NewStream opens a stream by contract. The generated clients call it.
func (a *App) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return a.node.Client.NewStream(ctx, desc, method, opts...)
}

// Handle serves plain HTTP beside the contracts: the gateway passes requests
// that match the pattern, in the notation of http.ServeMux ("GET /cart/{id}").
// Each is counted and timed under its pattern, and is a span of its caller's
// trace.
func (a *App) Handle(pattern string, h http.Handler) { a.http.handle(pattern, h) }

// Needs makes the service wait, before it is ready, until these contracts are
// served by somebody. Once it is ready it stays so: a contract that goes away
// later is an error to its callers, not an outage of everybody.
func (a *App) Needs(contracts ...string) {
	for _, c := range contracts {
		a.node.Health.Add("contract "+c, func(context.Context) error {
			if !a.node.Client.Ready(c) {
				return fmt.Errorf("nobody serves %s yet", c)
			}
			a.node.Health.Remove("contract " + c)
			return nil
		})
	}
}

// Check adds a check that must pass before the service is ready, and that
// /readyz tells from then on.
func (a *App) Check(name string, check func(context.Context) error) { a.node.Health.Add(name, check) }

// Go runs work beside the requests until the service ends: its context ends
// when the service has drained. Work that returns an error or panics is logged
// and begun again after a pause that grows to a minute; nil ends it for good.
func (a *App) Go(name string, work func(ctx context.Context) error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(a.ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.supervise(ctx, name, work)
	}()
	a.node.OnClose(func(wait context.Context) error {
		cancel()
		select {
		case <-done:
			return nil
		case <-wait.Done():
			return fmt.Errorf("end background work %s: %w", name, wait.Err())
		}
	})
}

func (a *App) supervise(ctx context.Context, name string, work func(ctx context.Context) error) {
	const first, last = 100 * time.Millisecond, time.Minute
	for pause := first; ; pause = min(2*pause, last) {
		began := time.Now()
		err := protect(ctx, work)
		if err == nil || ctx.Err() != nil {
			return
		}
		if time.Since(began) > last {
			pause = first
		}
		a.Logger().Error("background work ended; it begins again", "work", name, "pause", pause, "error", err)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

func protect(ctx context.Context, work func(ctx context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return work(ctx)
}

// OnStop runs f when the service has drained, the last one registered first.
// Its context ends after five seconds. All errors are reported.
func (a *App) OnStop(f func(context.Context) error) { a.node.OnClose(f) }

// Service is the service's name in the system, such as "order".
func (a *App) Service() string { return a.node.Env.Service }

// ServiceOf returns the name of the service that serves a contract.
func (a *App) ServiceOf(contract string) (string, error) { return a.node.Client.ServiceOf(contract) }

// Settings are the live settings in force in this process.
func (a *App) Settings() *config.Settings { return a.node.Settings }

// Logger is the service's logger. Log with the request's context, so that the
// line carries its trace.
func (a *App) Logger() *slog.Logger { return a.node.Logger() }

// Metrics is where the service's own metrics belong.
func (a *App) Metrics() prometheus.Registerer { return a.node.Telemetry.Metrics() }

// Tracer starts spans within a request.
func (a *App) Tracer() *telemetry.Tracer { return a.node.Telemetry.Tracer() }

// Peers carries invalidations of caches between the instances of this service:
// give it to cache.Options.
func (a *App) Peers() cache.Invalidator { return a.peers }
