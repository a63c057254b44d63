package etcdconfig_test

import (
	"fmt"
	"log/slog"
	"net/url"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/gowarren/warren/config/configtest"
	"github.com/gowarren/warren/config/driver"
	"github.com/gowarren/warren/config/etcdconfig"
	"github.com/gowarren/warren/internal/engines"
)

func TestConformance(t *testing.T) {
	server := newServer(t)
	systems := 0
	configtest.Run(t, func(t *testing.T) configtest.Harness {
		systems++
		system := fmt.Sprintf("system%d", systems)
		key := func(environment string) string { return "/" + system + "/config/" + environment + "/document" }
		return configtest.Harness{
			Open:  func(t *testing.T) driver.Driver { return open(t, server, system) },
			Stop:  server.stop,
			Start: server.start,
			Write: func(t *testing.T, environment string, data []byte) {
				client := server.dial(t)
				var err error
				if data == nil {
					_, err = client.Delete(t.Context(), key(environment))
				} else {
					_, err = client.Put(t.Context(), key(environment), string(data))
				}
				check(t, err)
			},
			Read: func(t *testing.T, environment string) []byte {
				answer, err := server.dial(t).Get(t.Context(), key(environment))
				check(t, err)
				if len(answer.Kvs) == 0 {
					t.Fatalf("there is no document of %s", environment)
				}
				return answer.Kvs[0].Value
			},
			Forget: func(t *testing.T) { server.forget(t, key("local")) },
		}
	})
}

// server is an etcd that can be stopped and started at one address.
type server struct {
	options engines.EtcdOptions
	running *engines.Etcd
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{options: engines.EtcdOptions{Dir: t.TempDir(), NoSync: true, Logger: slog.New(slog.DiscardHandler)}}
	s.start(t)
	t.Cleanup(func() {
		if s.running != nil {
			check(t, s.running.Close())
		}
	})
	return s
}

func (s *server) start(t *testing.T) {
	t.Helper()
	running, err := engines.StartEtcd(t.Context(), s.options)
	check(t, err)
	s.running, s.options.Address = running, running.Endpoint()
}

func (s *server) stop(t *testing.T) {
	t.Helper()
	check(t, s.running.Close())
	s.running = nil
}

func (s *server) dial(t *testing.T) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{s.options.Address}, Logger: zap.NewNop()})
	check(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// forget restarts the server and compacts up to the newest revision before a
// watch can resume.
func (s *server) forget(t *testing.T, key string) {
	t.Helper()
	client := s.dial(t)
	for range 3 {
		_, err := client.Put(t.Context(), key+".other", "moves the revision on")
		check(t, err)
	}
	answer, err := client.Get(t.Context(), key)
	check(t, err)
	_, err = client.Compact(t.Context(), answer.Header.Revision)
	check(t, err)
	s.stop(t)
	s.start(t)
}

func open(t *testing.T, s *server, system string) driver.Driver {
	t.Helper()
	u, err := url.Parse("etcd://" + s.options.Address + "/" + system)
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
