package warren

import (
	"cmp"
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

	"go.opentelemetry.io/otel/trace"

	"github.com/gowarren/warren/internal/node"
	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/telemetry"
)

// httpQuiet is after which time without a new request the callers of an
// instance that ends are taken to have moved on.
const httpQuiet = 500 * time.Millisecond

// httpServer serves what a service offers as plain HTTP. It listens only if
// there is something.
type httpServer struct {
	mux    *http.ServeMux
	routes []registry.Route
	server *http.Server
	log    *slog.Logger
	tracer *telemetry.Tracer

	draining atomic.Bool
	last     atomic.Int64 // when a request last came, since began
	began    time.Time
}

func newHTTPServer(log *slog.Logger, tracer *telemetry.Tracer) *httpServer {
	s := &httpServer{mux: http.NewServeMux(), log: log, tracer: tracer, began: time.Now()}
	s.server = &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return s
}

// ServeHTTP serves a request, as a span of the caller's trace. A panic is an
// error to its caller alone.
func (s *httpServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.last.Store(int64(time.Since(s.began)))
	if s.draining.Load() {
		w.Header().Set("Connection", "close") // the next request finds another instance
	}
	ctx, span := s.tracer.Start(s.tracer.ExtractHTTP(r.Context(), r.Header), r.Method, trace.SpanKindServer)
	r = r.WithContext(ctx)
	defer func() {
		span.SetName(cmp.Or(r.Pattern, r.Method))
		p := recover()
		if p == nil {
			span.End()
			return
		}
		span.SetError(fmt.Errorf("panic: %v", p))
		span.End()
		if p != http.ErrAbortHandler { //nolint:errorlint // as net/http compares it
			s.log.ErrorContext(r.Context(), "panic in handler", "route", r.Pattern, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
		panic(http.ErrAbortHandler) // whatever was answered is not whole
	}()
	s.mux.ServeHTTP(w, r)
}

func (s *httpServer) handle(pattern string, h http.Handler) {
	s.mux.Handle(pattern, h)
	method, path, ok := strings.Cut(pattern, " ")
	if !ok {
		method, path = "", pattern
	}
	s.routes = append(s.routes, registry.Route{Method: method, Pattern: strings.TrimSpace(path)})
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
	address, err := env.AdvertiseAddress(l)
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
