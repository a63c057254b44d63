package txntest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/txn/barrier"
)

// Service adds a service to the world. Register its contracts with it before
// the function that sets the world up returns.
func (w *World) Service(name string, opts ...ServiceOption) *Service {
	s := &Service{world: w, name: name}
	for _, set := range opts {
		set(s)
	}
	var err error
	if s.client, err = w.newClient(name); err != nil {
		w.problems = append(w.problems, err)
	}
	w.services = append(w.services, s)
	return s
}

// ServiceOption changes a service of the world.
type ServiceOption func(*Service)

// OnDatabase gives the service the database with the URL, in place of a file.
func OnDatabase(url string) ServiceOption { return func(s *Service) { s.address = url } }

// AllowTwoPhase lets the service take part in two-phase commits, where its
// database can.
func AllowTwoPhase() ServiceOption { return func(s *Service) { s.twoPhase = true } }

// Service is a service of the world: of what *warren.App has, it has what a
// participant needs.
type Service struct {
	world  *World
	name   string
	client *rpc.Client
	db     *store.DB // nil: it has none, and no barrier

	address    string // of its database; empty: a file
	twoPhase   bool
	registered []registration
	stop       func() // nil: it does not run
	started    int    // times
}

type registration struct {
	desc *grpc.ServiceDesc
	impl any
}

// Start starts a process of the service, so to speak, after Stop. The world
// starts all when it begins.
func (s *Service) Start() error {
	b := barrier.New(barrier.Options{
		Database:  func(context.Context, string, proto.Message) (barrier.Database, error) { return s.database() },
		Databases: s.databases, TwoPhase: s.twoPhase,
		Settings: s.world.settings, Logger: slog.New(slog.DiscardHandler),
	})
	server := rpc.NewServer(rpc.ServerOptions{
		Settings: s.world.settings, Logger: slog.New(slog.DiscardHandler), ServiceKey: s.world.key,
		Intercept: []grpc.UnaryServerInterceptor{s.behindBarrier(b), s.world.faults.refuse, s.world.faults.rollback},
	})
	b.Register(server)
	for _, r := range s.registered {
		server.RegisterService(r.desc, r.impl)
	}
	s.started++
	stop, err := s.world.serve(s.name, fmt.Sprint(s.name, "/", s.started), server)
	if err != nil {
		return fmt.Errorf("start service %s: %w", s.name, err)
	}
	s.stop = stop
	return nil
}

// Stop ends the process of the service: it is called in vain until Start.
func (s *Service) Stop() {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
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
	s.registered = append(s.registered, registration{desc, impl})
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
	db, err := s.open(ctx)
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

func (s *Service) open(ctx context.Context) (*store.DB, error) {
	if s.address == "" {
		return s.world.open(ctx, s.name)
	}
	return store.Open(ctx, s.address, store.Options{Name: s.name})
}
