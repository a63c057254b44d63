package txntest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/coordinator"
	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/registry/driver"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/store"
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
	operator *rpc.Client // the command's
	restarts sync.WaitGroup

	mu          sync.Mutex
	coordinator *process
	started     int  // coordinators so far
	closed      bool // none is started any more
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
	if w.operator, err = w.newClient("cli"); err != nil {
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
		if err := s.Start(); err != nil {
			return err
		}
		w.closers = append(w.closers, s.Stop)
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
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
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

// open opens a database that survives everything but the test; what the disk
// could lose in a power cut matters to nobody.
func (w *World) open(ctx context.Context, name string) (*store.DB, error) {
	return store.Open(ctx, "sqlite:"+filepath.Join(w.dir, name+".db")+"?synchronous=normal", store.Options{Name: name})
}
