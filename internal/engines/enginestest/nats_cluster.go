package enginestest

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// NATSCluster is three NATS servers in this process, as production has them: what is
// in three copies outlives one of them.
type NATSCluster struct {
	options []*server.Options

	mu      sync.Mutex
	servers []*server.Server // nil: it does not run
}

// StartNATSCluster starts a cluster that ends with the test.
func StartNATSCluster(tb testing.TB) *NATSCluster {
	tb.Helper()
	c := &NATSCluster{servers: make([]*server.Server, 3)}
	var found []net.Listener // held until all are found
	take := func() int {
		l := listen(tb)
		found = append(found, l)
		return l.Addr().(*net.TCPAddr).Port
	}
	var routes []string
	for i := range c.servers {
		o := &server.Options{
			ServerName: fmt.Sprintf("m%d", i), Host: "127.0.0.1", Port: take(), MaxPayload: 64 << 10,
			JetStream: true, StoreDir: tb.TempDir(), JetStreamMaxStore: 1 << 30, JetStreamMaxMemory: 64 << 20,
			SyncInterval: time.Second, NoSigs: true, NoLog: true,
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: take()},
		}
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", o.Cluster.Port))
		c.options = append(c.options, o)
	}
	for _, o := range c.options {
		o.Routes = server.RoutesFromStr(strings.Join(routes, ","))
	}
	for _, l := range found {
		_ = l.Close()
	}
	tb.Cleanup(func() {
		for i := range c.servers {
			c.stop(i)
		}
	})
	c.Start(tb)
	return c
}

// URL is the address of a system on all members.
func (c *NATSCluster) URL(system string) string {
	var hosts []string
	for _, o := range c.options {
		hosts = append(hosts, fmt.Sprintf("127.0.0.1:%d", o.Port))
	}
	return "nats://" + strings.Join(hosts, ",") + "/" + system
}

// StopLeader stops the member that leads a stream; its data stays.
func (c *NATSCluster) StopLeader(tb testing.TB, stream string) {
	tb.Helper()
	leads := func() int {
		for i, s := range c.running() {
			if s != nil && s.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, stream) {
				return i
			}
		}
		return -1
	}
	within(tb, "the stream "+stream+" has no leader", func() bool { return leads() >= 0 })
	c.stop(leads())
}

// Start starts the members that do not run, with the data they had, and returns when
// all are one cluster that has a leader.
func (c *NATSCluster) Start(tb testing.TB) {
	tb.Helper()
	if err := c.launch(); err != nil {
		tb.Fatal(err)
	}
	within(tb, "the members are no cluster", func() bool {
		leaders := 0
		for _, s := range c.running() {
			if !s.ReadyForConnections(time.Millisecond) || !s.JetStreamIsCurrent() {
				return false
			}
			if s.JetStreamIsLeader() {
				leaders++
			}
		}
		return leaders == 1
	})
}

func (c *NATSCluster) launch() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, o := range c.options {
		if c.servers[i] != nil {
			continue
		}
		s, err := server.NewServer(o.Clone())
		if err != nil {
			return err
		}
		c.servers[i] = s
		go s.Start()
	}
	return nil
}

func (c *NATSCluster) running() []*server.Server {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.servers)
}

func (c *NATSCluster) stop(i int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.servers[i]; s != nil {
		s.Shutdown()
		s.WaitForShutdown()
		c.servers[i] = nil
	}
}

// within waits for what a cluster takes a moment for.
func within(tb testing.TB, otherwise string, holds func() bool) {
	tb.Helper()
	for end := time.Now().Add(bound); !holds(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatal(otherwise)
		}
	}
}
