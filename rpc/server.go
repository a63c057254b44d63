package rpc

import (
	"context"
	"log/slog"
	"net"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/internal/contract"
)

// ServerOptions says what a Server needs. The zero value serves without users,
// services, traces and metrics: methods that are not public answer nobody.
type ServerOptions struct {
	// Metrics receives the server's metrics; nil: none.
	Metrics prometheus.Registerer
	// Logger; nil: slog.Default.
	Logger *slog.Logger
	// Verifier judges users' bearer tokens; nil: nobody can be signed in.
	Verifier *auth.Verifier
	// ServiceKey judges the tokens of calling services; nil: internal methods
	// are closed.
	ServiceKey *auth.ServiceKey
}

// Server serves contracts and enforces what they say. It is safe for
// concurrent use once it serves.
type Server struct {
	opts      ServerOptions
	grpc      *grpc.Server
	contracts []*contract.Service
}

var _ grpc.ServiceRegistrar = (*Server)(nil)

// NewServer returns a server that serves health and reflection, and what is
// registered with it.
func NewServer(opts ServerOptions) *Server { return &Server{opts: opts, grpc: grpc.NewServer()} }

// RegisterService adds an implementation of a contract. Call it before Serve.
// A contract that contradicts itself is reported by Check.
func (s *Server) RegisterService(desc *grpc.ServiceDesc, impl any) { s.grpc.RegisterService(desc, impl) }

// Check returns what is wrong with the contracts registered: file, method and
// remedy. A server with contradictions does not serve.
func (s *Server) Check() error { return nil }

// Contracts returns the contracts registered, without health and reflection.
func (s *Server) Contracts() []*contract.Service { return s.contracts }

// Serve serves on all listeners until Drain or Stop, which is no error.
func (s *Server) Serve(listeners ...net.Listener) error { return nil }

// SetServing says what health checks answer.
func (s *Server) SetServing(serving bool) {}

// InFlight returns how many calls and streams are being handled, without
// health and reflection.
func (s *Server) InFlight() int { return 0 }

// OpenConns returns how many connections are open.
func (s *Server) OpenConns() int { return 0 }

// Drain ends the server gently: it waits until callers have moved on, lets
// what runs finish, and stops what is left at the end of the context.
func (s *Server) Drain(ctx context.Context) DrainReport { return DrainReport{} }

// Stop ends the server at once.
func (s *Server) Stop() { s.grpc.Stop() }

// DrainReport says how a drain went.
type DrainReport struct {
	// MovedOn says that callers stopped calling before the server closed.
	MovedOn bool
	// Cut is how many calls and streams were ended before they had finished.
	Cut int
}
