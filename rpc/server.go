package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/rpc/internal/admission"
	"github.com/gowarren/warren/telemetry"
)

// ServerOptions says what a Server needs. The zero value serves without users,
// services, traces and metrics: methods that are not public answer nobody.
type ServerOptions struct {
	// Settings are the live numbers; nil: the defaults and the contracts' own.
	Settings *config.Settings
	// Tracer records a span per call and stream; nil: none.
	Tracer *telemetry.Tracer
	// Metrics receives the server's metrics; nil: none.
	Metrics prometheus.Registerer
	// Logger; nil: slog.Default.
	Logger *slog.Logger
	// Verifier judges users' bearer tokens; nil: nobody can be signed in.
	Verifier *auth.Verifier
	// ServiceKey judges the tokens of calling services; nil: internal methods
	// are closed.
	ServiceKey *auth.ServiceKey
	// Intercept is run around the handlers of unary calls, the first outermost:
	// last of all, once a call is admitted, allowed, decoded and validated. What
	// an interceptor returns is treated as if the handler had returned it.
	Intercept []grpc.UnaryServerInterceptor
}

// Server serves contracts and enforces what they say, whoever calls: the
// gateway, another service, or somebody who found the port. It is safe for
// concurrent use.
type Server struct {
	opts      ServerOptions
	intercept grpc.UnaryServerInterceptor // nil: none
	logger    *slog.Logger
	grpc      *grpc.Server
	health    *health.Server
	admission *admission.Controller
	metrics   *serverMetrics
	faults    *prometheus.CounterVec
	settings  serverSettings
	stops     []func() // of settings followed

	mu        sync.Mutex
	contracts []*contract.Service
	problems  []error
	serving   bool

	inFlight atomic.Int64 // calls and streams
	streams  atomic.Int64
	lastCall atomic.Int64 // Unix nanoseconds
	conns    connections
	draining chan struct{}
	drain    sync.Once
}

var _ grpc.ServiceRegistrar = (*Server)(nil)

// serverSettings are the values that the server asks for while it serves.
type serverSettings struct {
	streamsMax *config.Value[int]
	drainQuiet *config.Value[time.Duration]
	drainTime  *config.Value[time.Duration]
}

// NewServer returns a server that serves health and reflection, and what is
// registered with it. End it with Drain or Stop, also if it never served: it
// keeps goroutines for calls.
func NewServer(opts ServerOptions) *Server {
	s := &Server{opts: opts, logger: opts.Logger, draining: make(chan struct{})}
	s.intercept = chained(opts.Intercept)
	if s.logger == nil {
		s.logger = slog.Default()
	}
	s.settings = serverSettings{
		streamsMax: config.Watch(opts.Settings, settingStreamsMax, config.Scope{}),
		drainQuiet: config.Watch(opts.Settings, settingDrainQuiet, config.Scope{}),
		drainTime:  config.Watch(opts.Settings, settingDrainTimeout, config.Scope{}),
	}
	s.metrics = newServerMetrics(opts.Metrics)
	s.faults = newFaultCounter(opts.Metrics)
	s.admission = s.followAdmission()
	s.metrics.watch(opts.Metrics, s)
	s.grpc = grpc.NewServer(transportOptions(opts.Settings)...)
	// Open to everybody, outside every limit, and not counted as work: what
	// asks whether we live must not wait behind those whom we serve.
	s.health = health.NewServer()
	grpc_health_v1.RegisterHealthServer(openRegistrar{s}, s.health)
	reflection.Register(openRegistrar{s})
	return s
}

// chained makes one interceptor of several, or nil of none.
func chained(all []grpc.UnaryServerInterceptor) grpc.UnaryServerInterceptor {
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	first, rest := all[0], chained(all[1:])
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		return first(ctx, req, info, func(ctx context.Context, req any) (any, error) {
			return rest(ctx, req, info, handler)
		})
	}
}

// keptGoroutines is how many goroutines a server keeps for the next calls. One made
// anew for a call begins with a small stack, and growing it to what interceptors and
// validation need is a tenth of what a short call costs. More calls at once get
// goroutines of their own.
const keptGoroutines = 64

// transportOptions are the limits of connections. gRPC takes them once.
func transportOptions(settings *config.Settings) []grpc.ServerOption {
	start := config.Scope{}
	message := config.Watch(settings, settingMessageMax, start).Get()
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(message),
		grpc.MaxSendMsgSize(message),
		grpc.NumStreamWorkers(keptGoroutines),
		grpc.MaxConcurrentStreams(uint32(config.Watch(settings, settingConcurrentMax, start).Get())),
		grpc.MaxHeaderListSize(uint32(config.Watch(settings, settingHeaderMax, start).Get())),
		grpc.ConnectionTimeout(10 * time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time:    config.Watch(settings, settingKeepalive, start).Get(),
			Timeout: 10 * time.Second,
		}),
		// A caller may test a silent connection as often as rpc.keepalive
		// allows at the least, and half as long.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	}
}

// RegisterService adds an implementation of a contract. Call it before Serve.
// A contract that contradicts itself is reported by Check and by Serve.
func (s *Server) RegisterService(desc *grpc.ServiceDesc, impl any) {
	if err := s.register(desc, impl); err != nil {
		s.mu.Lock()
		s.problems = append(s.problems, fmt.Errorf("register %s: %w", desc.ServiceName, err))
		s.mu.Unlock()
	}
}

func (s *Server) register(desc *grpc.ServiceDesc, impl any) error {
	// gRPC ends the process for these.
	if _, twice := s.grpc.GetServiceInfo()[desc.ServiceName]; twice {
		return errors.New("it is registered already")
	}
	if s.isServing() {
		return errors.New("the server serves already; register before Serve")
	}
	if want := reflect.TypeOf(desc.HandlerType).Elem(); impl != nil && !reflect.TypeOf(impl).Implements(want) {
		return fmt.Errorf("%T does not implement %s", impl, want)
	}
	c, err := readContract(desc)
	if err != nil {
		return err
	}
	rules, err := newRules(c)
	if err != nil {
		return err
	}
	s.grpc.RegisterService(s.wrap(desc, c, rules), impl)
	s.health.SetServingStatus(desc.ServiceName, grpc_health_v1.HealthCheckResponse_SERVING)
	s.mu.Lock()
	s.contracts = append(s.contracts, c)
	s.mu.Unlock()
	return nil
}

// Check returns what is wrong with the contracts registered: file, method and
// remedy. A server with contradictions does not serve.
func (s *Server) Check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.problems) > 0 {
		return errors.Join(s.problems...)
	}
	// Each is right alone; together two may lie on one route.
	return checkTogether(s.contracts)
}

// Contracts returns the contracts registered, without health and reflection.
func (s *Server) Contracts() []*contract.Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*contract.Service(nil), s.contracts...)
}

// Serve serves on all listeners until Drain or Stop, which is no error. When
// one listener breaks the others end too.
func (s *Server) Serve(listeners ...net.Listener) error {
	if err := s.Check(); err != nil {
		return err
	}
	if len(listeners) == 0 {
		return errors.New("serve: no listener")
	}
	s.mu.Lock()
	s.serving = true
	s.mu.Unlock()
	ends := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { ends <- s.grpc.Serve(trackedListener{l, &s.conns}) }()
	}
	var errs []error
	for range listeners {
		// A server that was stopped before it began is one that was stopped.
		if err := <-ends; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			errs = append(errs, err)
			s.halt()
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

func (s *Server) isServing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.serving
}

// SetServing says what health checks answer, for the server and for each
// contract. They answer yes from the beginning, and no from Drain on.
func (s *Server) SetServing(serving bool) {
	status := grpc_health_v1.HealthCheckResponse_NOT_SERVING
	if serving {
		status = grpc_health_v1.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus("", status)
	for _, c := range s.Contracts() {
		s.health.SetServingStatus(c.Name, status)
	}
}

// Stop ends the server at once: calls under way fail.
func (s *Server) Stop() {
	s.beginDrain()
	s.halt()
	for _, stop := range s.stops {
		stop()
	}
}
