package enginestest

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/gowarren/warren/internal/engines"
)

// NATS is a server of its own for one test. Its data and its port stay the same
// when it is stopped and started again.
type NATS struct {
	dir string

	mu       sync.Mutex
	server   *engines.NATS
	endpoint string
}

// StartNATS starts a server that ends with the test.
func StartNATS(tb testing.TB) *NATS {
	tb.Helper()
	l := listen(tb) // nobody may get its port while it is stopped
	n := &NATS{dir: tb.TempDir(), endpoint: l.Addr().String()}
	if err := l.Close(); err != nil {
		tb.Fatal(err)
	}
	n.Start(tb)
	tb.Cleanup(func() { n.Stop(tb) })
	return n
}

// Endpoint is the host and port of the server.
func (n *NATS) Endpoint() string { return n.endpoint }

// Start starts a server that was stopped, with the data it had.
func (n *NATS) Start(tb testing.TB) {
	tb.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.server != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	server, err := engines.StartNATS(ctx, engines.NATSOptions{
		Dir: n.dir, Address: n.endpoint, MaxPayload: 64 << 10, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		tb.Fatal(err)
	}
	n.server, n.endpoint = server, server.Endpoint()
}

// Stop stops the server; its connections break, its data stays.
func (n *NATS) Stop(tb testing.TB) {
	tb.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.server == nil {
		return
	}
	if err := n.server.Close(); err != nil {
		tb.Error(err)
	}
	n.server = nil
}

// Lose makes the server forget what it accepts while f runs, as a machine does
// that dies before it has written its files.
func (n *NATS) Lose(tb testing.TB, f func()) {
	tb.Helper()
	n.Stop(tb)
	kept := filepath.Join(tb.TempDir(), "kept")
	if err := os.CopyFS(kept, os.DirFS(n.dir)); err != nil {
		tb.Fatal(err)
	}
	n.Start(tb)
	f()
	n.Stop(tb)
	n.mu.Lock()
	n.dir = kept
	n.mu.Unlock()
	n.Start(tb)
}
