package redislock_test

import (
	"context"
	"net"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gowarren/warren/lock/driver"
	"github.com/gowarren/warren/lock/locktest"
	"github.com/gowarren/warren/lock/redislock"
)

// server is a Redis of its own, which keeps its data and its port when it is
// stopped and started again.
type server struct {
	dir, port string
	cmd       *exec.Cmd
}

func startRedis(t *testing.T) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	s := &server{dir: t.TempDir(), port: port}
	s.start(t)
	t.Cleanup(func() { s.stop(t) })
	return s
}

func (s *server) start(t testing.TB) {
	t.Helper()
	if s.cmd != nil {
		return
	}
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("%v: make test, or scripts/servers start, installs it", err)
	}
	s.cmd = exec.Command(program, "--port", s.port, "--bind", "127.0.0.1", "--dir", s.dir,
		"--appendonly", "yes", "--appendfsync", "always", "--save", "")
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + s.port})
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for client.Ping(ctx).Err() != nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("redis-server does not answer")
		}
	}
}

func (s *server) stop(t testing.TB) {
	t.Helper()
	if s.cmd == nil {
		return
	}
	if err := s.cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = s.cmd.Wait() // it was killed
	s.cmd = nil
}

func TestConformance(t *testing.T) {
	s := startRedis(t)
	locktest.Run(t, locktest.Harness{
		Open: func(t testing.TB) driver.Driver {
			d, err := open(t, "redis://127.0.0.1:"+s.port+"?prefix=shop")
			if err != nil {
				t.Fatal(err)
			}
			return d
		},
		Stop: s.stop, Start: s.start,
	})
}

func open(t testing.TB, raw string) (driver.Driver, error) {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return redislock.Open(t.Context(), u)
}

func TestURLs(t *testing.T) {
	for raw, want := range map[string]string{
		"redis://127.0.0.1:6379":                              "prefix",
		"redis://127.0.0.1:6379?prefix=shop&ttl=5s":           "ttl",
		"redis://:secret@127.0.0.1:6379/nonsense?prefix=shop": "nonsense",
	} {
		d, err := open(t, raw)
		if err == nil {
			d.Close()
			t.Errorf("%s was opened", raw)
		} else if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want an error about %s", raw, err, want)
		}
	}
}
