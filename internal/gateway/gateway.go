// Package gateway is the edge of a system: it follows the registry, reads the
// contracts of what appears, and turns HTTP from outside into calls by
// contract, after it has made sure that the request has one meaning, that its
// caller is known and allowed, and that it stays within its limits.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/internal/limit"
	"github.com/gowarren/warren/internal/reflected"
	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/telemetry"
)

// Options says what a gateway needs. Only Client.Registry is required.
type Options struct {
	// Client is how the gateway calls; its registry, settings, tracer, metrics
	// and logger are the gateway's as well. Methods is set by the gateway.
	Client rpc.ClientOptions
	// Verifier judges bearer tokens; nil: nobody can be signed in.
	Verifier *auth.Verifier
	// Snapshot is the file that keeps the contracts for the next start; empty:
	// they are forgotten.
	Snapshot string
	// Expected names the services that the system has. As long as one of them
	// has never been seen, a path that nobody serves may be its: it answers 503.
	Expected []string
	// Title and Version head the OpenAPI document.
	Title, Version string
	// AccessLog receives one line of JSON per request; nil: none is written.
	AccessLog io.Writer
}

// Gateway is an http.Handler, and the server around it.
type Gateway struct {
	opts      Options
	registry  *registry.Registry
	settings  *config.Settings
	tracer    *telemetry.Tracer
	logger    *slog.Logger
	verifier  *auth.Verifier
	client    grpc.ClientConnInterface
	calls     *rpc.Client // the same, as what it is
	catalogue *catalogue
	numbers   *numbers
	limiter   *limit.Limiter
	metrics   *metrics
	access    *accessLog
	proxy     *proxy
	table     cell[table]
	inFlight  atomic.Int64

	building  sync.Mutex // guards what only rebuild uses
	built     int
	endpoints map[*contract.Method]*endpoint
	plains    map[plainRoute]bool

	server      *http.Server
	serving     serving
	connections connections
	draining    chan struct{} // closed: not ready any more
	ending      chan struct{} // closed: streams have to end
	drain       sync.Once
	end         sync.Once
	close       []func() error
}

// New returns a gateway that follows the registry until Close. It neither
// waits for the registry nor fails without it.
func New(opts Options) (*Gateway, error) {
	if opts.Client.Registry == nil {
		return nil, errors.New("new gateway: no registry")
	}
	g := &Gateway{
		opts: opts, registry: opts.Client.Registry, settings: opts.Client.Settings, tracer: opts.Client.Tracer,
		logger: opts.Client.Logger, verifier: opts.Verifier, limiter: limit.New(limit.Options{}),
		endpoints: map[*contract.Method]*endpoint{}, plains: map[plainRoute]bool{},
		draining: make(chan struct{}), ending: make(chan struct{}),
	}
	if g.logger == nil {
		g.logger = slog.Default()
	}
	g.numbers = watchNumbers(g.settings)
	var err error
	if g.metrics, err = newMetrics(opts.Client.Metrics, func() float64 { return float64(len(g.Routes())) }); err != nil {
		return nil, fmt.Errorf("new gateway: %w", err)
	}
	g.proxy = newProxy(g)
	g.catalogue = newCatalogue(g.registry, g.newReader(), opts.Snapshot, g.logger, g.rebuild)
	opts.Client.Methods = g.catalogue.method
	client, err := rpc.NewClient(opts.Client)
	if err != nil {
		return nil, fmt.Errorf("new gateway: %w", err)
	}
	g.client, g.calls = client, client
	g.access = newAccessLog(opts.AccessLog, g.metrics.dropped)
	g.server = newServer(g)
	g.rebuild()
	g.start(client)
	return g, nil
}

func (g *Gateway) newReader() *reflected.Reader {
	r := &reflected.Reader{Credentials: g.opts.Client.Credentials}
	if key := g.opts.Client.ServiceKey; key != nil {
		r.Token = func() (string, string) {
			token, err := key.Sign(g.opts.Client.Service)
			if err != nil {
				return rpc.MetadataService, "" // the other side says what it thinks of strangers
			}
			return rpc.MetadataService, token
		}
	}
	return r
}

func (g *Gateway) start(client *rpc.Client) {
	ctx, stop := context.WithCancel(context.Background())
	changes, unwatch := g.registry.Watch()
	var followed sync.WaitGroup
	followed.Go(func() {
		defer unwatch()
		g.catalogue.follow(ctx, changes)
	})
	g.close = []func() error{
		func() error { stop(); followed.Wait(); return nil },
		client.Close,
		func() error { g.proxy.close(); g.access.close(); return nil },
	}
}

// Ready says whether the gateway knows what it serves: nil once every instance
// that the registry named first was asked for its contracts.
func (g *Gateway) Ready(context.Context) error {
	if g.isDraining() {
		return errors.New("the gateway is draining")
	}
	select {
	case <-g.catalogue.first:
		return nil
	default:
		return errors.New("the registry has not been read yet")
	}
}

// Contracts are those that the gateway has read and routes, by the instances
// that serve them.
func (g *Gateway) Contracts() map[string][]string { return g.catalogue.readContracts() }

// Client is what the gateway calls with, for the rest of its process.
func (g *Gateway) Client() *rpc.Client { return g.calls }

// Close ends everything at once; Drain first to lose nothing.
func (g *Gateway) Close() error {
	g.stopReady()
	g.stopStreams()
	errs := []error{g.server.Close()}
	for _, f := range g.close {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

func (g *Gateway) isDraining() bool {
	select {
	case <-g.draining:
		return true
	default:
		return false
	}
}

func (g *Gateway) stopReady()   { g.drain.Do(func() { close(g.draining) }) }
func (g *Gateway) stopStreams() { g.end.Do(func() { close(g.ending) }) }
