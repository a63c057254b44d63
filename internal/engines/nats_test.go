package engines_test

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/gowarren/warren/internal/engines"
)

func startNATS(t *testing.T, dir, address string) (*engines.NATS, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return engines.StartNATS(ctx, engines.NATSOptions{Dir: dir, Address: address, Logger: slog.New(slog.DiscardHandler)})
}

// TestNATSKeepsItsData stores a message, starts again and reads it.
func TestNATSKeepsItsData(t *testing.T) {
	dir := t.TempDir()
	for round := range 2 {
		n, err := startNATS(t, dir, "")
		if err != nil {
			t.Fatal(err)
		}
		conn, err := nats.Connect("nats://" + n.Endpoint())
		if err != nil {
			t.Fatal(err)
		}
		js, err := jetstream.New(conn)
		if err != nil {
			t.Fatal(err)
		}
		stream, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "s", Subjects: []string{"s.>"}})
		if err != nil {
			t.Fatal(err)
		}
		if got := stream.CachedInfo().State.Msgs; got != uint64(round) {
			t.Errorf("round %d begins with %d messages", round, got)
		}
		if _, err := js.Publish(t.Context(), "s.a", []byte("x")); err != nil {
			t.Error(err)
		}
		if err := n.Health(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := startNATS(t, dir, ""); err == nil || !strings.Contains(err.Error(), "in use by another process") {
			t.Errorf("a second server in the folder: %v", err)
		}
		conn.Close()
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		if n.Health(t.Context()) == nil {
			t.Error("a server that was closed is healthy")
		}
	}
}

func TestNATSStartErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for address, want := range map[string]string{
		taken.Addr().String(): "already in use",
		"localhost:0":         "must be an IP address",
		"127.0.0.1":           "malformed address",
	} {
		if _, err := startNATS(t, t.TempDir(), address); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("at %s: %v; want %q", address, err, want)
		}
	}
	if _, err := startNATS(t, "", ""); err == nil || !strings.Contains(err.Error(), "no directory") {
		t.Errorf("without a folder: %v", err)
	}
}
