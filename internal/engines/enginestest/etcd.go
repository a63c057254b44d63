// Package enginestest runs the engines for tests, and breaks them on request.
package enginestest

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/gowarren/warren/internal/engines"
)

// Etcd is a server of its own for one test. Its data and its port stay the
// same when it is stopped and started again.
type Etcd struct {
	dir string

	mu       sync.Mutex
	server   *engines.Etcd
	endpoint string
}

// StartEtcd starts a server that ends with the test.
func StartEtcd(tb testing.TB) *Etcd {
	tb.Helper()
	e := &Etcd{dir: tb.TempDir()}
	e.Start(tb)
	tb.Cleanup(func() { e.Stop(tb) })
	return e
}

// Endpoint is the host and port of the server.
func (e *Etcd) Endpoint() string { return e.endpoint }

// URL is the address of a system on this server.
func (e *Etcd) URL(system string) string { return "etcd://" + e.endpoint + "/" + system }

// Start starts a server that was stopped, with the data it had.
func (e *Etcd) Start(tb testing.TB) {
	tb.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server != nil {
		return
	}
	if e.endpoint == "" {
		l := listen(tb)
		e.endpoint = l.Addr().String()
		l.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	server, err := engines.StartEtcd(ctx, engines.EtcdOptions{
		Dir: e.dir, Address: e.endpoint, NoSync: true, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		tb.Fatal(err)
	}
	e.server = server
}

// Stop stops the server; its connections break, its data stays.
func (e *Etcd) Stop(tb testing.TB) {
	tb.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server == nil {
		return
	}
	if err := e.server.Close(); err != nil {
		tb.Error(err)
	}
	e.server = nil
}

// Wipe stops the server and forgets its data.
func (e *Etcd) Wipe(tb testing.TB) {
	tb.Helper()
	e.Stop(tb)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dir = tb.TempDir()
}
