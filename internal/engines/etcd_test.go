package engines_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/gowarren/warren/internal/engines"
)

func TestEtcdKeepsItsData(t *testing.T) {
	opts := options(t)
	e := start(t, opts)
	if _, err := dial(t, e).Put(t.Context(), "k", "v"); err != nil {
		t.Fatal(err)
	}
	opts.Address = e.Endpoint()
	began := time.Now()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	t.Log("close", time.Since(began))
	began = time.Now()
	e = start(t, opts)
	t.Log("start", time.Since(began))
	if e.Endpoint() != opts.Address {
		t.Errorf("endpoint %s; want %s", e.Endpoint(), opts.Address)
	}
	got, err := dial(t, e).Get(t.Context(), "k")
	if err != nil || len(got.Kvs) != 1 {
		t.Fatalf("after a restart: %v, %v", got, err)
	}
	if err := e.Health(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestEtcdSaysWhatIsInItsWay(t *testing.T) {
	t.Run("port", func(t *testing.T) {
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		opts := options(t)
		opts.Address = taken.Addr().String()
		refused(t, opts, opts.Address+" is already in use")
	})
	t.Run("directory", func(t *testing.T) {
		opts := options(t)
		start(t, opts)
		refused(t, opts, opts.Dir+" is in use by another process")
	})
	t.Run("log", func(t *testing.T) {
		refused(t, damaged(t, "etcd/member/wal/*.wal"), "its data may be damaged")
	})
	t.Run("database", func(t *testing.T) {
		refused(t, damaged(t, "etcd/member/snap/db"), "its data may be damaged")
	})
	t.Run("name", func(t *testing.T) {
		opts := options(t)
		opts.Address = "localhost:0"
		refused(t, opts, "must be an IP address")
	})
}

// damaged returns the options of a server whose files were overwritten.
func damaged(t *testing.T, pattern string) engines.EtcdOptions {
	opts := options(t)
	e := start(t, opts)
	client := dial(t, e)
	for i := range 100 {
		if _, err := client.Put(t.Context(), fmt.Sprint("k", i), strings.Repeat("v", 1000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(opts.Dir, pattern))
	if err != nil || len(files) == 0 {
		t.Fatal("no file to damage", err)
	}
	for _, name := range files {
		file, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteAt([]byte(strings.Repeat("damage! ", 4<<10)), 0); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return opts
}

func refused(t *testing.T, opts engines.EtcdOptions, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	e, err := engines.StartEtcd(ctx, opts)
	if err == nil {
		e.Close()
		t.Fatal("it started")
	}
	if !strings.Contains(err.Error(), want) {
		t.Errorf("error %v; want %q", err, want)
	}
}

func options(t *testing.T) engines.EtcdOptions {
	return engines.EtcdOptions{Dir: t.TempDir(), NoSync: true, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
}

func start(t *testing.T, opts engines.EtcdOptions) *engines.Etcd {
	t.Helper()
	e, err := engines.StartEtcd(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func dial(t *testing.T, e *engines.Etcd) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{e.Endpoint()}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}
