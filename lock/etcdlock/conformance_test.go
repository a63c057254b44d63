package etcdlock_test

import (
	"net/url"
	"testing"

	"github.com/gowarren/warren/internal/engines/enginestest"
	"github.com/gowarren/warren/lock/driver"
	"github.com/gowarren/warren/lock/etcdlock"
	"github.com/gowarren/warren/lock/locktest"
)

func TestConformance(t *testing.T) {
	etcd := enginestest.StartEtcd(t)
	locktest.Run(t, locktest.Harness{
		Open: func(t testing.TB) driver.Driver {
			u, err := url.Parse(etcd.URL("shop"))
			if err != nil {
				t.Fatal(err)
			}
			d, err := etcdlock.Open(t.Context(), u)
			if err != nil {
				t.Fatal(err)
			}
			return d
		},
		Stop: etcd.Stop, Start: etcd.Start,
	})
}

func TestURLs(t *testing.T) {
	for _, raw := range []string{"etcd://127.0.0.1:2379", "etcd://127.0.0.1:2379/shop?ttl=5s"} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := etcdlock.Open(t.Context(), u); err == nil {
			t.Errorf("%s was opened", raw)
		}
	}
}
