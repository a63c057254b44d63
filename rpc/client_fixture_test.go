package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"

	echov1 "github.com/gowarren/warren/rpc/internal/testpb/echo/v1"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/registry/driver"
	"github.com/gowarren/warren/rpc"
)

const echoContract = "echo.v1.EchoService"

// listDriver is a registry engine whose list the test writes.
type listDriver struct {
	mu       sync.Mutex
	list     []driver.Instance
	revision int64
	changed  chan struct{}
}

func newListDriver() *listDriver { return &listDriver{changed: make(chan struct{})} }

func (d *listDriver) set(list []registry.Instance) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = slices.Clone(list)
	d.revision++
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *listDriver) Watch(ctx context.Context, emit func(driver.Snapshot)) error {
	for {
		d.mu.Lock()
		s, changed := driver.Snapshot{Instances: slices.Clone(d.list), Revision: d.revision}, d.changed
		d.mu.Unlock()
		emit(s)
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (d *listDriver) Put(context.Context, driver.Instance) error   { return nil }
func (d *listDriver) Remove(context.Context, string, string) error { return nil }
func (d *listDriver) Lost() <-chan struct{}                        { return nil }
func (d *listDriver) Capabilities() driver.Capabilities            { return driver.Capabilities{Live: true} }
func (d *listDriver) Close() error                                 { return nil }

// node is one instance of the echo: a plain gRPC server that can be killed.
type node struct {
	echo
	info     registry.Instance
	server   *grpc.Server
	listener *holeListener
	calls    atomic.Int64
	peers    *connCounter
}

// system is a client and the instances that it can call.
type system struct {
	t        testing.TB
	driver   *listDriver
	registry *registry.Registry
	client   *rpc.Client
	echo     echov1.EchoServiceClient
	metrics  *prometheus.Registry
	logs     *logs

	mu    sync.Mutex
	nodes []*node
}

// newSystem starts a client with the options given, over a registry whose
// instances are those that the test starts.
func newSystem(t testing.TB, opts rpc.ClientOptions) *system {
	t.Helper()
	s := &system{t: t, driver: newListDriver(), metrics: prometheus.NewRegistry(), logs: &logs{}}
	logger := slog.New(slog.NewTextHandler(s.logs, nil))
	r := registry.New(s.driver, registry.Options{Logger: logger, PanicThreshold: 1, Coalesce: time.Millisecond})
	t.Cleanup(func() { r.Close() })
	s.registry = r
	opts.Registry, opts.Metrics, opts.Logger = r, s.metrics, logger
	if opts.Settings == nil {
		opts.Settings = patient(t)
	}
	if opts.Methods == nil {
		opts.Methods = echoMethod
	}
	var err error
	if s.client, err = rpc.NewClient(opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.client.Close() })
	s.echo = echov1.NewEchoServiceClient(s.client)
	return s
}

// echoMethod is what the contract says, as far as callers care.
func echoMethod(fullName string) *contract.Method { return echoMethods[fullName] }

var echoMethods = func() map[string]*contract.Method {
	all := map[string]*contract.Method{}
	for _, m := range []contract.Method{
		{Name: "Public", Safe: true, Idempotent: true},
		{Name: "Quick", Safe: true, Idempotent: true, Timeout: 50 * time.Millisecond},
		{Name: "SignedIn"},
		{Name: "Watch", Safe: true, Idempotent: true, ServerStreams: true},
		{Name: "Chat", ClientStreams: true, ServerStreams: true},
	} {
		m.Service, m.FullName = echoContract, "/"+echoContract+"/"+m.Name
		all[m.FullName] = &m
	}
	return all
}()

// start starts an instance and makes it known.
func (s *system) start(id string, change ...func(*node)) *node {
	s.t.Helper()
	n := &node{}
	n.info = registry.Instance{ID: id, Service: "echo", Weight: 100, State: registry.Ready, Contracts: []string{echoContract}}
	n.chat = chat
	for _, c := range change {
		c(n)
	}
	s.serve(n)
	s.mu.Lock()
	s.nodes = append(s.nodes, n)
	s.mu.Unlock()
	s.publish()
	return n
}

// chat answers each message until the caller has no more.
func chat(stream grpc.BidiStreamingServer[echov1.EchoRequest, echov1.EchoResponse]) error {
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(&echov1.EchoResponse{Text: r.GetText()}); err != nil {
			return err
		}
	}
}

// serve makes an instance answer, at the address it had before if it had one.
func (s *system) serve(n *node) {
	s.t.Helper()
	network, address := "tcp", n.info.Address
	if n.info.Socket != "" {
		network, address = "unix", n.info.Socket
	}
	var l net.Listener
	err := errors.New("no port is free")
	for tries := 0; err != nil && tries < 100; tries++ {
		at := address
		if at == "" { // a port that nobody is given meanwhile who asks for any
			at = fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(10_000))
		}
		if l, err = net.Listen(network, at); address != "" {
			break
		}
	}
	if err != nil {
		s.t.Fatal(err)
	}
	if network == "tcp" {
		n.info.Address = l.Addr().String()
	}
	n.listener = &holeListener{Listener: l}
	count := func(ctx context.Context, r any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
		n.calls.Add(1)
		return h(ctx, r)
	}
	n.peers = &connCounter{}
	n.server = grpc.NewServer(grpc.UnaryInterceptor(count), grpc.StatsHandler(n.peers), grpc.WaitForHandlers(true))
	echov1.RegisterEchoServiceServer(n.server, &n.echo)
	go n.server.Serve(n.listener)
	s.t.Cleanup(n.server.Stop)
}

// kill ends an instance as kill -9 does: the registry doesn't know.
func (n *node) kill() { n.listener.fall(); n.server.Stop() }

// publish makes the list of instances known.
func (s *system) publish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []registry.Instance
	for _, n := range s.nodes {
		list = append(list, n.info)
	}
	s.driver.set(list)
}

// remove takes an instance from the list.
func (s *system) remove(n *node) {
	s.mu.Lock()
	s.nodes = slices.DeleteFunc(s.nodes, func(o *node) bool { return o == n })
	s.mu.Unlock()
	s.publish()
}

// usable waits until the client can use so many instances.
func (s *system) usable(want int) {
	s.t.Helper()
	s.client.Ready(echoContract)
	eventually(s.t, "instances to become usable", func() bool { return s.state().Usable == want })
}

// state returns the client's view of the echo.
func (s *system) state() rpc.TargetState {
	for _, state := range s.client.State() {
		if state.Contract == echoContract {
			return state
		}
	}
	return rpc.TargetState{}
}

// say makes one idempotent call.
func (s *system) say(ctx context.Context) error {
	_, err := s.echo.Public(ctx, &echov1.EchoRequest{Text: "hello"})
	return err
}

// load calls without pause from many goroutines until stopped, and returns
// how many calls were made and the first error.
func (s *system) load(workers int, call func(context.Context) error) (stop func() (int64, error)) {
	ctx, cancel := context.WithCancel(s.t.Context())
	var (
		wait  sync.WaitGroup
		calls atomic.Int64
		first atomic.Pointer[error]
	)
	for range workers {
		wait.Go(func() {
			for ctx.Err() == nil {
				if err := call(s.t.Context()); err != nil {
					first.CompareAndSwap(nil, &err)
				}
				calls.Add(1)
			}
		})
	}
	return func() (int64, error) {
		cancel()
		wait.Wait()
		if err := first.Load(); err != nil {
			return calls.Load(), *err
		}
		return calls.Load(), nil
	}
}

// file makes settings that differ from the defaults. Calls have more time than
// by default: no machine may be too busy for a call that ought to succeed.
func file(t testing.TB, namesAndValues ...string) *config.Settings {
	t.Helper()
	layer := fileLayer("rpc.timeout", "15s")
	for i := 0; i < len(namesAndValues); i += 2 {
		layer.Entries = append(layer.Entries, fileLayer(namesAndValues[i], namesAndValues[i+1]).Entries...)
	}
	s, err := config.New(config.Options{File: layer, Definitions: rpc.Definitions()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// patient settings tell a call that hangs from one on a busy machine.
func patient(t testing.TB) *config.Settings { return file(t) }

// holeListener accepts connections that can be turned into black holes, or cut.
type holeListener struct {
	net.Listener
	mu      sync.Mutex
	conns   []*holeConn
	swallow bool
}

func (l *holeListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	hole := &holeConn{Conn: c, closed: make(chan struct{})}
	hole.swallow.Store(l.swallow)
	l.conns = append(l.conns, hole)
	return hole, nil
}

// blackHole makes everything sent to the instance, and by it, disappear.
func (l *holeListener) blackHole() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.swallow = true
	for _, c := range l.conns {
		c.swallow.Store(true)
	}
}

// fall cuts all connections without a goodbye.
func (l *holeListener) fall() {
	l.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		if tcp, ok := c.Conn.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
		c.Conn.Close()
	}
}

type holeConn struct {
	net.Conn
	swallow atomic.Bool
	once    sync.Once
	closed  chan struct{}
}

func (c *holeConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.swallow.Load() {
		<-c.closed
		return 0, io.EOF
	}
	return n, err
}

func (c *holeConn) Write(b []byte) (int, error) {
	if c.swallow.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *holeConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// connCounter counts a server's connections.
type connCounter struct{ open, made atomic.Int64 }

func (c *connCounter) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (c *connCounter) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (c *connCounter) HandleRPC(context.Context, stats.RPCStats)                         {}
func (c *connCounter) HandleConn(_ context.Context, s stats.ConnStats) {
	switch s.(type) {
	case *stats.ConnBegin:
		c.open.Add(1)
		c.made.Add(1)
	case *stats.ConnEnd:
		c.open.Add(-1)
	}
}
