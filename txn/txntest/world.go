package txntest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/coordinator"
	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/registry/driver"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/txn/barrier"
)

// World is a small system within the process: services that take part in
// transactions, each behind its barrier, and a coordinator, with databases in a
// folder of the test. It calls by contract as another service would, and so is
// what transactions are run with.
type World struct {
	dir      string
	key      *auth.ServiceKey
	settings *config.Settings
	registry *registry.Registry
	list     *instances
	client   *rpc.Client
	faults   *faults

	services []*Service
	problems []error // of setup
	closers  []func()

	caller   *rpc.Client // the coordinator's
	restarts sync.WaitGroup

	mu          sync.Mutex
	coordinator *process
	started     int // coordinators so far
}

// New starts a world whose services the function registers, and which ends with
// the test.
func New(t testing.TB, setup func(*World)) *World {
	t.Helper()
	w, err := newWorld(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	setup(w)
	if err := w.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

func newWorld(dir string) (*World, error) {
	quiet := slog.New(slog.DiscardHandler)
	w := &World{dir: dir, list: newInstances(), faults: newFaults()}
	var err error
	if w.settings, err = quick(); err != nil {
		return nil, err
	}
	w.closers = append(w.closers, func() { w.settings.Close() })
	if w.key, err = auth.NewServiceKey([]byte("a secret that guards nothing but this test")); err != nil {
		return nil, err
	}
	// Instances vanish here because the test wants it: that is never in doubt.
	w.registry = registry.New(w.list, registry.Options{Logger: quiet, PanicThreshold: 1, Coalesce: time.Millisecond})
	w.closers = append(w.closers, func() { _ = w.registry.Close() })
	if w.client, err = w.newClient("test"); err != nil {
		return nil, err
	}
	w.caller, err = w.newClient("coordinator")
	return w, err
}

// quick are settings with which what takes long elsewhere does not here.
func quick() (*config.Settings, error) {
	var file config.FileLayer
	for name, value := range map[string]string{
		"txn.attempts": "4", "txn.failures": "2", "txn.backoff.base": "2ms", "txn.backoff.max": "20ms", "txn.ongoing": "10ms",
		"txn.beat": "10ms", "txn.dead_after": "50ms", "txn.scan": "1s", "txn.lock_poll": "10ms", "txn.prepare_timeout": "1s",
	} {
		file.Entries = append(file.Entries, config.FileEntry{Name: name, Value: value, Position: "txntest"})
	}
	return config.New(config.Options{File: file, Definitions: append(rpc.Definitions(), coordinator.Definitions()...)})
}

func (w *World) newClient(service string) (*rpc.Client, error) {
	c, err := rpc.NewClient(rpc.ClientOptions{
		Registry: w.registry, Settings: w.settings, Logger: slog.New(slog.DiscardHandler), Service: service, ServiceKey: w.key,
	})
	if err == nil {
		w.closers = append(w.closers, func() { _ = c.Close() })
	}
	return c, err
}

// start serves what was registered, and starts the coordinator.
func (w *World) start(ctx context.Context) error {
	for _, s := range w.services {
		closeServer, err := w.serve(s.name, s.name+"/1", s.server)
		if err != nil {
			return fmt.Errorf("start service %s: %w", s.name, err)
		}
		w.closers = append(w.closers, closeServer)
	}
	if err := errors.Join(w.problems...); err != nil {
		return err
	}
	if err := w.startCoordinator(ctx); err != nil {
		return err
	}
	return w.registry.Ready(ctx)
}

// serve opens a port for the server, and has it found.
func (w *World) serve(service, id string, server *rpc.Server) (stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	if err := server.Check(); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // ends by Stop
	}()
	i := driver.Instance{
		ID: id, Service: service, Address: listener.Addr().String(), State: driver.Ready, Weight: 100, Started: time.Now(),
	}
	for _, c := range server.Contracts() {
		i.Contracts = append(i.Contracts, c.Name)
	}
	_ = w.list.Put(context.Background(), i) // a list in memory
	return func() {
		_ = w.list.Remove(context.Background(), service, id)
		server.Stop()
		<-done
	}, nil
}

// close ends everything, the last first.
func (w *World) close() {
	w.restarts.Wait()
	if p := w.process(); p != nil {
		p.kill()
	}
	for _, end := range slices.Backward(w.closers) {
		end()
	}
	w.closers = nil
}

// process is the coordinator that lives.
func (w *World) process() *process {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.coordinator
}

// Invoke calls a method by contract.
func (w *World) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	return w.client.Invoke(ctx, method, args, reply, opts...)
}

// NewStream opens a stream by contract.
func (w *World) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return w.client.NewStream(ctx, desc, method, opts...)
}

// ServiceOf returns the name of the service that serves a contract.
func (w *World) ServiceOf(contract string) (string, error) { return w.client.ServiceOf(contract) }

// Service adds a service to the world. Register its contracts with it before
// the function that sets the world up returns.
func (w *World) Service(name string) *Service {
	s := &Service{world: w, name: name}
	var err error
	if s.client, err = w.newClient(name); err != nil {
		w.problems = append(w.problems, err)
	}
	b := barrier.New(barrier.Options{
		Database:  func(context.Context, string, proto.Message) (barrier.Database, error) { return s.database() },
		Databases: s.databases,
		Settings:  w.settings, Logger: slog.New(slog.DiscardHandler),
	})
	s.server = rpc.NewServer(rpc.ServerOptions{
		Settings: w.settings, Logger: slog.New(slog.DiscardHandler), ServiceKey: w.key,
		Intercept: []grpc.UnaryServerInterceptor{s.behindBarrier(b), w.faults.rollback},
	})
	b.Register(s.server)
	w.services = append(w.services, s)
	return s
}

// Service is a service of the world: of what *warren.App has, it has what a
// participant needs.
type Service struct {
	world  *World
	name   string
	server *rpc.Server
	client *rpc.Client
	db     *store.DB // nil: it has none, and no barrier
}

// behindBarrier has the barrier stand before a service that has a database. One
// that has none is asked as often as it happens.
func (s *Service) behindBarrier(b *barrier.Barrier) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if s.db == nil {
			return handler(ctx, req)
		}
		return b.Intercept(ctx, req, info, handler)
	}
}

func (s *Service) database() (*store.DB, error) {
	if s.db == nil {
		return nil, errors.New("the service has no database")
	}
	return s.db, nil
}

func (s *Service) databases() []*store.DB {
	if s.db == nil {
		return nil
	}
	return []*store.DB{s.db}
}

// RegisterService adds the implementation of a contract.
func (s *Service) RegisterService(desc *grpc.ServiceDesc, impl any) {
	s.server.RegisterService(desc, impl)
}

// Invoke calls a method by contract.
func (s *Service) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	return s.client.Invoke(ctx, method, args, reply, opts...)
}

// NewStream opens a stream by contract.
func (s *Service) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return s.client.NewStream(ctx, desc, method, opts...)
}

// Service is the service's name.
func (s *Service) Service() string { return s.name }

// ServiceOf returns the name of the service that serves a contract.
func (s *Service) ServiceOf(contract string) (string, error) { return s.client.ServiceOf(contract) }

// Database opens the service's database, a file of the test, with the schema of
// the migrations. The barrier notes there what was done.
func (s *Service) Database(ctx context.Context, migrations fs.FS) (*store.DB, error) {
	db, err := s.world.open(ctx, s.name)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(db.Migrate(ctx, migrations), barrier.Migrate(ctx, db)); err != nil {
		return nil, fmt.Errorf("bring the database of %s up to date: %w", s.name, err)
	}
	s.db = db
	s.world.closers = append(s.world.closers, func() { _ = db.Close() })
	return db, nil
}

// open opens a database that survives everything but the test; what the disk
// could lose in a power cut matters to nobody.
func (w *World) open(ctx context.Context, name string) (*store.DB, error) {
	return store.Open(ctx, "sqlite:"+filepath.Join(w.dir, name+".db")+"?synchronous=normal", store.Options{Name: name})
}
