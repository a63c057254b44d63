package warren

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gowarren/warren/internal/node"
	"github.com/gowarren/warren/registry"
)

// httpServer serves what a service offers as plain HTTP. It listens only if
// there is something.
type httpServer struct {
	mux    *http.ServeMux
	routes []registry.Route
	server *http.Server
	log    *slog.Logger
}

func newHTTPServer(log *slog.Logger) *httpServer {
	mux := http.NewServeMux()
	return &httpServer{mux: mux, log: log, server: &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}
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
	return s.server.Shutdown(ctx)
}

func (s *httpServer) stop() { _ = s.server.Close() }
