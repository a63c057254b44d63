package warren

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/telemetry"
)

// gatewayService is the name under which gateways stand in the registry.
const gatewayService = "gateway"

// errNoGateway is what a request gets while no gateway is ready.
var errNoGateway = errors.New("no gateway of the system is ready")

// Gateway sends HTTP requests to the system's gateway, for services that are
// clients of its public API, such as a web site: they write paths, and no
// address. The host of a request's URL is not looked at. A gateway is found in
// the registry for each request; where one refuses the connection, so that
// nothing was sent, another is tried. The trace of the request's context goes
// with it, and goes on behind the gateway as one of the system's own.
func (a *App) Gateway() http.RoundTripper {
	dialer := &net.Dialer{Timeout: 2 * time.Second, KeepAlive: 15 * time.Second}
	transport := &http.Transport{
		DialContext:         dialer.DialContext,
		MaxIdleConnsPerHost: 64, // the default of 2 makes every burst pay for new connections
		IdleConnTimeout:     time.Minute,
	}
	a.OnStop(func(context.Context) error { transport.CloseIdleConnections(); return nil })
	return &gateways{registry: a.node.Registry, transport: transport, tracer: a.Tracer(), key: a.node.Key, service: a.Service()}
}

// gateways is a http.RoundTripper over the gateways that the registry knows.
type gateways struct {
	registry  *registry.Registry
	transport *http.Transport
	tracer    *telemetry.Tracer
	key       *auth.ServiceKey
	service   string
}

// RoundTrip sends the request to one of the gateways.
func (g *gateways) RoundTrip(r *http.Request) (*http.Response, error) {
	body := &heldBody{ReadCloser: r.Body, closed: r.Body != nil} // as a RoundTripper must, also where nobody takes it
	defer body.letGo()
	last := errNoGateway
	for _, address := range g.addresses() {
		out := r.Clone(r.Context())
		out.URL.Scheme, out.URL.Host, out.Host = "http", address, ""
		if r.Body != nil && r.Body != http.NoBody {
			out.Body = body.offer()
		}
		g.tracer.Inject(r.Context(), out.Header.Set)
		if g.key != nil { // without its signed name the trace is taken for a stranger's
			if token, err := g.key.Sign(g.service); err == nil {
				out.Header.Set(rpc.MetadataService, token)
			}
		}
		response, err := g.transport.RoundTrip(out)
		if err == nil {
			return response, nil
		}
		last = err
		if op, ok := errors.AsType[*net.OpError](err); !ok || op.Op != "dial" {
			break
		}
	}
	return nil, last
}

// heldBody is the body of a request while it is looked for somebody who takes it: a
// connection that was refused must not cost it. Whoever took it may go on to read when
// the answer has begun, and closes it.
type heldBody struct {
	io.ReadCloser
	mu           sync.Mutex
	free, closed bool
}

// offer returns the body for one more attempt.
func (b *heldBody) offer() io.ReadCloser {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = false
	return b
}

// Close is called by whoever the body was offered to.
func (b *heldBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if !b.free {
		return nil
	}
	return b.ReadCloser.Close()
}

// letGo ends the search.
func (b *heldBody) letGo() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free = true
	if b.closed {
		_ = b.ReadCloser.Close() // there is nobody to tell
	}
}

// addresses returns those of the gateways that are ready, in an order of chance.
func (g *gateways) addresses() []string {
	var out []string
	for _, in := range g.registry.Snapshot().Instances {
		if in.Service == gatewayService && in.State == registry.Ready {
			out = append(out, in.Address)
		}
	}
	rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}
