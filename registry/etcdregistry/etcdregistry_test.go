package etcdregistry_test

import (
	"context"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/gowarren/warren/internal/engines/enginestest"
	"github.com/gowarren/warren/internal/openurl"
	"github.com/gowarren/warren/registry/driver"
	"github.com/gowarren/warren/registry/etcdregistry"
	"github.com/gowarren/warren/registry/registrytest"
)

func TestConformance(t *testing.T) {
	registrytest.Run(t, func(tb testing.TB) registrytest.Harness {
		etcd := enginestest.StartEtcd(tb)
		return registrytest.Harness{
			Session: 2 * time.Second,
			Open: func(tb testing.TB) registrytest.Connection {
				proxy := enginestest.StartProxy(tb, etcd.Endpoint())
				return registrytest.Connection{Driver: open(tb, proxy.Address()), Network: proxy}
			},
			Stop:  etcd.Stop,
			Start: etcd.Start,
			Wipe:  etcd.Wipe,
			Lapse: func(tb testing.TB) {
				client := dial(tb, etcd)
				leases, err := client.Leases(context.Background())
				if err != nil {
					tb.Fatal(err)
				}
				for _, lease := range leases.Leases {
					if _, err := client.Revoke(context.Background(), lease.ID); err != nil {
						tb.Fatal(err)
					}
				}
			},
			Compact: func(tb testing.TB) {
				client := dial(tb, etcd)
				last, err := client.Get(context.Background(), "any")
				if err != nil {
					tb.Fatal(err)
				}
				if _, err := client.Compact(context.Background(), last.Header.GetRevision()); err != nil {
					tb.Fatal(err)
				}
			},
		}
	})
}

func open(tb testing.TB, address string) driver.Driver {
	tb.Helper()
	d, err := openurl.Open(context.Background(), "registry", "etcd://"+address+"/shop?ttl=2s&dial_timeout=3s",
		map[string]openurl.Opener[driver.Driver]{"etcd": etcdregistry.Open})
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func dial(tb testing.TB, etcd *enginestest.Etcd) *clientv3.Client {
	tb.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{etcd.Endpoint()}, Logger: zap.NewNop()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { client.Close() })
	return client
}
