package etcdconfig_test

import (
	"fmt"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/gowarren/warren/config/configtest"
	"github.com/gowarren/warren/config/driver"
	"github.com/gowarren/warren/config/etcdconfig"
	"github.com/gowarren/warren/internal/engines/enginestest"
	"github.com/gowarren/warren/internal/openurl"
)

func TestConformance(t *testing.T) {
	server := enginestest.StartEtcd(t)
	systems := 0
	configtest.Run(t, func(t *testing.T) configtest.Harness {
		systems++
		system := fmt.Sprintf("system%d", systems)
		key := func(environment string) string { return "/" + system + "/config/" + environment + "/document" }
		return configtest.Harness{
			Open:  func(t *testing.T) driver.Driver { return open(t, server.URL(system)) },
			Stop:  func(t *testing.T) { server.Stop(t) },
			Start: func(t *testing.T) { server.Start(t) },
			Write: func(t *testing.T, environment string, data []byte) {
				client := dial(t, server)
				var err error
				if data == nil {
					_, err = client.Delete(t.Context(), key(environment))
				} else {
					_, err = client.Put(t.Context(), key(environment), string(data))
				}
				check(t, err)
			},
			Read: func(t *testing.T, environment string) []byte {
				answer, err := dial(t, server).Get(t.Context(), key(environment))
				check(t, err)
				if len(answer.Kvs) == 0 {
					t.Fatalf("there is no document of %s", environment)
				}
				return answer.Kvs[0].GetValue()
			},
			Forget: func(t *testing.T) { forget(t, server, key("local")) },
		}
	})
}

// forget restarts the server and compacts it up to the newest revision before a
// watch can resume.
func forget(t *testing.T, server *enginestest.Etcd, key string) {
	t.Helper()
	client := dial(t, server)
	for range 3 {
		_, err := client.Put(t.Context(), key+".other", "moves the revision on")
		check(t, err)
	}
	answer, err := client.Get(t.Context(), key)
	check(t, err)
	_, err = client.Compact(t.Context(), answer.Header.GetRevision())
	check(t, err)
	server.Stop(t)
	server.Start(t)
}

func dial(t *testing.T, server *enginestest.Etcd) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{server.Endpoint()}, Logger: zap.NewNop()})
	check(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func open(t *testing.T, address string) driver.Driver {
	t.Helper()
	u, err := openurl.Parse(address)
	check(t, err)
	d, err := etcdconfig.Open(t.Context(), u)
	check(t, err)
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
