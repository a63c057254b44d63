package warren

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/internal/node"
	"github.com/gowarren/warren/internal/requests"
	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/telemetry"
)

// httpQuiet is after which time without a new request the callers of an
// instance that ends are taken to have moved on.
const httpQuiet = 500 * time.Millisecond

// httpServer serves what a service offers as plain HTTP. It listens only if
// there is something.
type httpServer struct {
	mux     *http.ServeMux
	routes  []registry.Route
	server  *http.Server
	log     *slog.Logger
	tracer  *telemetry.Tracer
	key     *auth.ServiceKey // by which callers are known; nil: nobody is
	seen    prometheus.Registerer
	metrics *httpMetrics // nil while there are no routes

	draining atomic.Bool
	last     atomic.Int64 // when a request last came, since began
	began    time.Time
}

func newHTTPServer(seen *telemetry.Telemetry, key *auth.ServiceKey) *httpServer {
	log := seen.Logger()
	s := &httpServer{mux: http.NewServeMux(), log: log, tracer: seen.Tracer(), key: key, seen: seen.Metrics(), began: time.Now()}
	s.server = &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return s
}

// ServeHTTP serves a request, as a span of the caller's trace. Who only asks
// whether somebody lives is neither counted nor waited for.
func (s *httpServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.draining.Load() {
		w.Header().Set("Connection", "close") // the next request finds another instance
	}
	if requests.Probe(r.URL.Path) {
		defer func() {
			if p := recover(); p != nil {
				s.abort(r.Context(), s.metrics.find(r.Pattern), p)
			}
		}()
		s.mux.ServeHTTP(w, r)
		return
	}
	e := s.exchange(w, r)
	defer e.end()
	s.mux.ServeHTTP(e, e.r)
}

// abort ends the answer to a request whose handler panicked with p; nil: it
// did not. A panic is an error to its caller alone.
func (s *httpServer) abort(ctx context.Context, route *httpRoute, p any) {
	if p == nil {
		return
	}
	if p != http.ErrAbortHandler { //nolint:errorlint // as net/http compares it
		route.panics.Inc()
		s.log.ErrorContext(ctx, "panic in handler", "route", route.path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	}
	panic(http.ErrAbortHandler) // whatever was answered is not whole
}

func (s *httpServer) handle(pattern string, h http.Handler) {
	method, path, ok := strings.Cut(pattern, " ")
	if !ok {
		method, path = "", pattern
	}
	path = strings.TrimSpace(path)
	if s.metrics == nil { // most services have no plain HTTP, and then no metrics of it
		s.metrics = newHTTPMetrics(s.seen)
	}
	route := s.metrics.newRoute(path)
	s.metrics.routes[pattern] = route
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if e, ok := w.(*httpExchange); ok {
			e.route = route
		}
		h.ServeHTTP(w, r)
	})
	s.routes = append(s.routes, registry.Route{Method: method, Pattern: path})
}

// listen returns what to announce, nil if there are no routes.
func (s *httpServer) listen(env node.Environment) (*registry.Instance, error) {
	if len(s.routes) == 0 {
		return nil, nil
	}
	host, _, err := net.SplitHostPort(env.Address)
	if err != nil {
		return nil, fmt.Errorf("listen for HTTP beside %s: %w", env.Address, err)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, fmt.Errorf("listen for HTTP: %w", err)
	}
	address, err := env.AdvertiseBeside(l)
	if err != nil {
		return nil, err
	}
	go func() {
		if err := s.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("HTTP listener ended", "error", err)
		}
	}()
	return &registry.Instance{Address: address, Routes: s.routes}, nil
}

func (s *httpServer) drain(ctx context.Context) error {
	if len(s.routes) == 0 {
		return nil
	}
	s.draining.Store(true)
	s.awaitQuiet(ctx)
	if err := s.server.Shutdown(ctx); err != nil {
		return fmt.Errorf("drain HTTP: requests were cut off: %w", err)
	}
	return nil
}

// awaitQuiet waits until callers have moved on: who closes his door before
// they know loses what they are about to send. It takes half of the time at
// the most.
func (s *httpServer) awaitQuiet(ctx context.Context) {
	bound := time.Minute
	if at, ok := ctx.Deadline(); ok {
		bound = time.Until(at) / 2
	}
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	began := time.Since(s.began)
	for {
		quiet := time.Since(s.began) - max(began, time.Duration(s.last.Load()))
		if quiet >= httpQuiet {
			return
		}
		timer := time.NewTimer(httpQuiet - quiet)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

func (s *httpServer) stop() { _ = s.server.Close() }
