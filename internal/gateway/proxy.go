package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gowarren/warren/internal/transcode"
	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/rpc"
)

// proxy passes requests on to services that serve plain HTTP.
type proxy struct {
	g         *Gateway
	transport atomic.Pointer[http.Transport]
	unwatch   func()
	reverse   *httputil.ReverseProxy

	mu   sync.Mutex
	busy map[string]*atomic.Int64 // requests in flight, by address
}

type exchangeKey struct{}

func newProxy(g *Gateway) *proxy {
	p := &proxy{g: g, busy: map[string]*atomic.Int64{}}
	dialer := &net.Dialer{Timeout: 2 * time.Second, KeepAlive: 15 * time.Second}
	p.transport.Store(&http.Transport{
		DialContext:         dialer.DialContext,
		MaxIdleConnsPerHost: 256, // the default of 2 makes every burst pay for new connections
		MaxIdleConns:        1024,
		IdleConnTimeout:     60 * time.Second,
		DisableCompression:  true, // what the service sends is passed on as it is
	})
	p.unwatch = g.numbers.proxyTimeout.OnChange(p.setTimeout) // first, or a change between the two would be missed
	p.setTimeout(g.numbers.proxyTimeout.Get())
	p.reverse = &httputil.ReverseProxy{
		Rewrite:      p.rewrite,
		Transport:    p,
		ErrorHandler: p.failed,
		BufferPool:   &copyBuffers{pool: sync.Pool{New: func() any { return new([32 << 10]byte) }}},
		ErrorLog:     slog.NewLogLogger(g.logger.Handler(), slog.LevelDebug),
		ModifyResponse: func(r *http.Response) error {
			r.Header.Del("X-Request-Id") // it has one already
			endWith(g.ending, r)
			return nil
		},
	}
	return p
}

// setTimeout takes a transport of its own: one that is in use can't be changed.
func (p *proxy) setTimeout(d time.Duration) {
	next := p.transport.Load().Clone()
	next.ResponseHeaderTimeout = d
	p.transport.Swap(next).CloseIdleConnections()
}

func (p *proxy) close() {
	p.unwatch()
	p.transport.Load().CloseIdleConnections()
}

// serve passes the request on.
func (p *proxy) serve(e *exchange) {
	limit := int64(p.g.numbers.body.Get())
	if e.r.ContentLength > limit {
		e.fail(bodyTooLarge())
		return
	}
	if e.r.Body != nil && e.r.Body != http.NoBody {
		e.r.Body = newUpload(e, limit)
	}
	r := e.r.WithContext(context.WithValue(e.ctx, exchangeKey{}, e))
	p.reverse.ServeHTTP(e.w, r)
}

func (p *proxy) rewrite(r *httputil.ProxyRequest) {
	e := r.In.Context().Value(exchangeKey{}).(*exchange)
	r.Out.URL.Scheme = "http"
	r.Out.URL.Host = "service" // RoundTrip chooses the instance
	r.Out.Host = r.In.Host
	r.Out.Header.Set("X-Request-Id", e.id)
	r.SetXForwarded()
	if e.address != "" {
		r.Out.Header.Set("X-Forwarded-For", e.address)
	}
	// Behind this protocol the client would talk to the service as it likes, past all
	// that the gateway sees to.
	if tokens := r.Out.Header.Get("Upgrade"); strings.Contains(strings.ToLower(tokens), "h2c") {
		r.Out.Header.Del("Connection")
		r.Out.Header.Del("Upgrade")
		r.Out.Header.Del("Http2-Settings")
	}
	p.g.tracer.Inject(e.ctx, r.Out.Header.Set)
	if o := &p.g.opts.Client; o.ServiceKey != nil { // without its signed name the trace is taken for a stranger's
		if token, err := o.ServiceKey.Sign(o.Service); err == nil {
			r.Out.Header.Set(rpc.MetadataService, token)
		}
	}
}

// attempts is how many instances a request is offered to while none takes it.
const attempts = 3

// RoundTrip sends the request to one of the service's instances. Another one
// is tried only where the connection was refused: then nothing was sent.
func (p *proxy) RoundTrip(r *http.Request) (*http.Response, error) {
	e := r.Context().Value(exchangeKey{}).(*exchange)
	instances := p.instances(e.found.route)
	last := errNoInstance
	body := r.Body
	for range min(attempts, len(instances)) {
		i := p.pick(instances)
		address := instances[i].Address
		instances = slices.Delete(slices.Clone(instances), i, i+1)
		out := r.Clone(r.Context())
		out.URL.Host = address
		if body != nil && body != http.NoBody {
			out.Body = io.NopCloser(body) // a refused connection must not cost the body
		}
		count := p.count(address)
		count.Add(1)
		response, err := p.transport.Load().RoundTrip(out)
		count.Add(-1)
		if last = err; err == nil || !refused(err) {
			return response, err
		}
	}
	return nil, last
}

var errNoInstance = errors.New("no instance of the service is ready")

func refused(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// instances returns those that announce the route and are ready.
func (p *proxy) instances(r *route) []registry.Instance {
	var out []registry.Instance
	want := registry.Route{Method: r.method, Pattern: r.pattern}
	for _, in := range p.g.registry.Snapshot().Instances {
		if in.Service == r.service && in.State == registry.Ready && slices.Contains(in.Routes, want) {
			out = append(out, in)
		}
	}
	return out
}

// pick takes the less busy one of two.
func (p *proxy) pick(instances []registry.Instance) int {
	a, b := rand.IntN(len(instances)), rand.IntN(len(instances))
	if p.count(instances[b].Address).Load() < p.count(instances[a].Address).Load() {
		return b
	}
	return a
}

func (p *proxy) count(address string) *atomic.Int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.busy[address]
	if c == nil {
		if len(p.busy) > 1000 { // addresses come and go; the busy ones are back at once
			clear(p.busy)
		}
		c = &atomic.Int64{}
		p.busy[address] = c
	}
	return c
}

// failed answers for a service that did not. Faults of the client's body are
// the client's.
func (p *proxy) failed(_ http.ResponseWriter, r *http.Request, err error) {
	e := r.Context().Value(exchangeKey{}).(*exchange)
	body, _ := e.r.Body.(*upload)
	switch {
	case body.tooSlow(): // net/http takes its client for one that left
		e.fail(bodyProblem(os.ErrDeadlineExceeded))
	case e.r.Context().Err() != nil:
		e.gone = true
	case errors.Is(err, errBodyTooLarge):
		e.fail(bodyTooLarge())
	case errors.Is(err, errNoInstance) || refused(err):
		e.span.SetError(err)
		e.fail(transcode.NewProblem(http.StatusServiceUnavailable, "NO_INSTANCE", "no instance of the service is available at the moment"))
	case late(err):
		e.span.SetError(err)
		e.fail(transcode.NewProblem(http.StatusGatewayTimeout, "DEADLINE_EXCEEDED", "the service did not answer in time"))
	default:
		e.span.SetError(err)
		p.g.logger.WarnContext(e.ctx, "service did not answer", "service", e.found.route.service, "request_id", e.id, "error", err)
		e.fail(transcode.NewProblem(http.StatusBadGateway, "BAD_GATEWAY", "the service did not answer as it should"))
	}
}

// late tells an answer that did not begin in time from one that broke.
func late(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// copyBuffers is a httputil.BufferPool.
type copyBuffers struct{ pool sync.Pool }

// Get returns a buffer.
func (b *copyBuffers) Get() []byte { return b.pool.Get().(*[32 << 10]byte)[:] }

// Put takes a buffer back.
func (b *copyBuffers) Put(buffer []byte) { b.pool.Put((*[32 << 10]byte)(buffer)) }
