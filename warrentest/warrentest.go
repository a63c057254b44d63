// Package warrentest runs a system inside a test: real etcd, real NATS, the
// services under test as they are, the real gateway, free ports, and the end of
// each of them at the word of the test.
//
//	sys := warrentest.New(t)
//	sys.Run("catalog", setup)
//	client := catalogv1.NewCatalogServiceClient(sys.Client())
//	resp, err := http.Get(sys.Gateway() + "/v1/products")
package warrentest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/gowarren/warren"
	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/internal/coordinator"
	"github.com/gowarren/warren/internal/edge"
	"github.com/gowarren/warren/internal/engines"
	"github.com/gowarren/warren/internal/node"
	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/rpc"
)

// patience bounds how long the harness waits for anything.
const patience = 30 * time.Second

// System is a system of services in a test. Its methods fail the test when
// something goes wrong.
type System struct {
	t        testing.TB
	flags    []string // of every process
	data     string
	etcd     *engines.Etcd
	nats     *engines.NATS
	url      string
	keyFile  string
	registry *registry.Registry
	client   *rpc.Client
	key      *auth.ServiceKey

	mu    sync.Mutex
	count map[string]int

	signIn sync.Once
	users  *users
}

// Instance is one running service.
type Instance struct {
	ID   string
	stop context.CancelFunc
	done chan struct{}
	err  error // read after done

	mu       sync.Mutex
	expected error
}

// New starts the engines. Everything ends with the test. The flags are added to
// those of every process, for instance --system-file.
func New(t testing.TB, flags ...string) *System {
	t.Helper()
	s := &System{t: t, flags: flags, data: t.TempDir(), count: map[string]int{}}
	var err error
	quiet := slog.New(slog.DiscardHandler)
	s.etcd, err = engines.StartEtcd(t.Context(), engines.EtcdOptions{Dir: filepath.Join(s.data, "etcd"), NoSync: true, Logger: quiet})
	s.check("start etcd", err)
	t.Cleanup(func() { s.report("stop etcd", s.etcd.Close()) })
	s.url = "etcd://" + s.etcd.Endpoint() + "/test"

	s.startEvents("")
	t.Cleanup(func() { s.report("stop NATS", s.nats.Close()) })

	s.keyFile = filepath.Join(s.data, "key")
	secret := []byte("a secret that guards nothing but this test")
	s.check("write the system's key", os.WriteFile(s.keyFile, secret, 0o600))
	s.check("write the system file", os.WriteFile(filepath.Join(s.data, "warren.yaml"), []byte(systemFile), 0o600))
	s.key, err = auth.NewServiceKey(secret)
	s.check("make the system's key", err)

	driver, err := node.OpenRegistry(t.Context(), s.url)
	s.check("open the registry", err)
	s.registry = registry.New(driver, registry.Options{Logger: quiet})
	t.Cleanup(func() { s.report("close the registry", s.registry.Close()) })
	s.client, err = rpc.NewClient(rpc.ClientOptions{Registry: s.registry, Logger: quiet, Service: "test", ServiceKey: s.key})
	s.check("open the client", err)
	t.Cleanup(func() { s.report("close the client", s.client.Close()) })
	return s
}

// Run starts an instance of a service and returns when it is ready.
func (s *System) Run(service string, setup func(context.Context, *warren.App) error, args ...string) *Instance {
	s.t.Helper()
	i := s.Start(service, setup, args...)
	s.Ready(i)
	return i
}

// Start starts an instance of a service, with further flags, and does not wait.
func (s *System) Start(service string, setup func(context.Context, *warren.App) error, args ...string) *Instance {
	s.t.Helper()
	return s.start(service, func(ctx context.Context, flags []string) error {
		return warren.Run(ctx, append(flags, args...), setup)
	})
}

// Gateway starts a gateway and returns its address, "http://127.0.0.1:…", once
// it is ready.
func (s *System) Gateway(args ...string) string {
	s.t.Helper()
	i := s.start("gateway", func(ctx context.Context, flags []string) error {
		return edge.Run(ctx, append(flags, args...), io.Discard)
	})
	s.Ready(i)
	found, _ := s.find(i.ID)
	return "http://" + found.Address
}

// Coordinator starts the coordinator of transactions, and returns when it is
// ready. One that is started in the place of another that was stopped goes on
// where that one was.
func (s *System) Coordinator(args ...string) *Instance {
	s.t.Helper()
	return s.Run("coordinator", coordinator.Setup, args...)
}

func (s *System) start(service string, run func(ctx context.Context, flags []string) error) *Instance {
	s.mu.Lock()
	s.count[service]++
	id := fmt.Sprintf("%s/%d", service, s.count[service])
	s.mu.Unlock()
	ctx, stop := context.WithCancel(context.Background())
	i := &Instance{ID: id, stop: stop, done: make(chan struct{})}
	flags := append([]string{
		"--service", service, "--instance", id, "--system", "test",
		"--system-file", filepath.Join(s.data, "warren.yaml"), "--registry", s.url, "--config", s.url,
		"--events", s.EventsURL(), "--data", s.data, "--key-file", s.keyFile, "--log-format", "json", "--log-level", "error",
	}, s.flags...)
	go func() {
		defer close(i.done)
		i.err = run(ctx, flags)
	}()
	s.t.Cleanup(func() {
		if err := i.Stop(); !i.expects(err) {
			s.report("run "+id, err)
		}
	})
	return i
}

// Ready returns when the instance is ready; it fails the test when the
// instance ends before.
func (s *System) Ready(i *Instance) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	changes, stop := s.registry.Watch()
	defer stop()
	for {
		if found, ok := s.find(i.ID); ok && found.State == registry.Ready {
			return
		}
		select {
		case <-changes:
		case <-i.done:
			s.t.Fatalf("instance %s ended before it was ready: %v", i.ID, i.err)
		case <-ctx.Done():
			s.t.Fatalf("instance %s is not ready after %s", i.ID, patience)
		}
	}
}

func (s *System) find(id string) (registry.Instance, bool) {
	for _, i := range s.registry.Snapshot().Instances {
		if i.ID == id {
			return i, true
		}
	}
	return registry.Instance{}, false
}

// Client calls by contract, as another service of the system would.
func (s *System) Client() grpc.ClientConnInterface { return s.client }

// Registry is what the test itself knows of who serves what.
func (s *System) Registry() *registry.Registry { return s.registry }

// KeyFile holds the system's key, for commands that are run on it.
func (s *System) KeyFile() string { return s.keyFile }

// EventsURL is the address of the broker.
func (s *System) EventsURL() string { return "nats://" + s.nats.Endpoint() + "/test" }

// WithoutEvents ends the broker, calls f, and starts the broker again, with its
// data and at its address.
func (s *System) WithoutEvents(f func()) {
	s.t.Helper()
	address := s.nats.Endpoint()
	s.check("stop NATS", s.nats.Close())
	f()
	s.startEvents(address)
}

func (s *System) startEvents(address string) {
	s.t.Helper()
	var err error
	s.nats, err = engines.StartNATS(s.t.Context(), engines.NATSOptions{
		Dir: filepath.Join(s.data, "nats"), Address: address, Logger: slog.New(slog.DiscardHandler),
	})
	s.check("start NATS", err)
}

// URL is the address of registry and configuration centre.
func (s *System) URL() string { return s.url }

// Stop ends the instance as SIGTERM does, and returns how it ended. It may be
// called more than once.
func (i *Instance) Stop() error {
	i.stop()
	select {
	case <-i.done:
		return i.err
	case <-time.After(patience):
		return errors.New("it did not end")
	}
}

// Expect says that the instance is meant to end with this error; any other
// than none fails the test.
func (i *Instance) Expect(err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.expected = err
}

func (i *Instance) expects(err error) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.expected != nil && errors.Is(err, i.expected)
}

// Done is closed when the instance has ended.
func (i *Instance) Done() <-chan struct{} { return i.done }

func (s *System) check(what string, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
}

func (s *System) report(what string, err error) {
	if err != nil {
		s.t.Errorf("%s: %v", what, err)
	}
}
