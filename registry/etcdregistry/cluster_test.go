package etcdregistry_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/gowarren/warren/internal/engines/enginestest"
	"github.com/gowarren/warren/internal/openurl"
	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/registry/driver"
	"github.com/gowarren/warren/registry/etcdregistry"
	"github.com/gowarren/warren/registry/registrytest"
)

// A cluster is away when two of its three members are: for longer than a lease
// nothing can be decided. Members that come back have forgotten who was let in.
func TestClusterConformance(t *testing.T) {
	t.Parallel()
	registrytest.Run(t, func(tb testing.TB) registrytest.Harness {
		cluster := enginestest.StartCluster(tb, enginestest.ClusterOptions{
			TLS: true, User: "warren", Password: "correct-horse", System: "shop",
		})
		return registrytest.Harness{
			Session: 2 * time.Second,
			Open: func(tb testing.TB) registrytest.Connection {
				var way network
				var hosts []string
				for _, endpoint := range cluster.Endpoints() {
					proxy := enginestest.StartProxy(tb, endpoint)
					way, hosts = append(way, proxy), append(hosts, proxy.Address())
				}
				return registrytest.Connection{Driver: join(tb, cluster.URL("shop", hosts...)+"&ttl=2s"), Network: way}
			},
			Stop: func(tb testing.TB) {
				leader := cluster.Leader(tb)
				cluster.Kill(tb, leader, (leader+1)%3)
			},
			Start: func(tb testing.TB) { cluster.Start(tb) },
		}
	}, "Outage")
}

// One member less, be it the leader, is noticed by no caller: who is registered
// stays so, by the same lease, and who comes is seen. Who registers in the
// moment without a leader tries again.
func TestClusterLosesAMember(t *testing.T) {
	t.Parallel()
	cluster := enginestest.StartCluster(t, enginestest.ClusterOptions{})
	var callers, servers bytes.Buffer
	open := func(log *bytes.Buffer) *registry.Registry {
		return registry.New(join(t, cluster.URL("shop")+"?ttl=5s"), registry.Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
	}
	a, b := open(&servers), open(&callers)
	if err := b.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	meet := func(id string, least int) {
		t.Helper()
		if _, err := a.Announce(instance(id)); err != nil {
			t.Fatal(err)
		}
		changes, stop := b.Watch()
		defer stop()
		for end := time.After(20 * time.Second); ; {
			s := b.Snapshot()
			n := len(s.Contract("a.A"))
			if s.Stale || n < least {
				t.Fatalf("%d instances of %d, stale: %v", n, least, s.Stale)
			}
			if n > least {
				return
			}
			select {
			case <-changes:
			case <-end:
				t.Fatalf("instance %s is not seen", id)
			}
		}
	}
	meet("0", 0)
	cluster.Kill(t, cluster.Leader(t))
	meet("1", 1)
	cluster.Start(t)
	cluster.Kill(t, (cluster.Leader(t)+1)%3)
	meet("2", 2)
	if err := errors.Join(b.Close(), a.Close()); err != nil { // b is not to see a leave
		t.Error(err)
	}
	if callers.Len() > 0 || strings.Contains(servers.String(), "session has ended") {
		t.Errorf("the loss of one member was noticed:\n%s\n%s", &callers, &servers)
	}
}

func join(tb testing.TB, address string) driver.Driver {
	tb.Helper()
	d, err := openurl.Open(context.Background(), "registry", address+"&dial_timeout=5s",
		map[string]openurl.Opener[driver.Driver]{"etcd": etcdregistry.Open})
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// network is the way to every member.
type network []*enginestest.Proxy

func (n network) Cut() {
	for _, p := range n {
		p.Cut()
	}
}

func (n network) Swallow() {
	for _, p := range n {
		p.Swallow()
	}
}

func (n network) Heal() {
	for _, p := range n {
		p.Heal()
	}
}
