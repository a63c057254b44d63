package supervisor

import (
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	peerv1 "github.com/gowarren/warren/api/warren/peer/v1"
	"github.com/gowarren/warren/internal/node"
	"github.com/gowarren/warren/internal/system"
	"github.com/gowarren/warren/warrentest"
)

// The socket is the owner's, and answers for the fleet, for the system, and for
// nothing that services serve for each other.
func TestControlSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "") // short, for a socket's name
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	d := open(t, dir, false)
	s := &Supervisor{
		system: &system.System{}, registry: warrentest.New(t).Registry(), data: d, log: slog.New(slog.DiscardHandler), done: make(chan error, 1),
	}
	s.control = s.newControl()
	s.closers = append(s.closers, d.close, func() error { s.control.Stop(); return nil })
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := errors.Join(s.openControl(), s.listen()); err != nil {
		t.Fatal(err)
	}
	if got := mode(t, node.ControlSocket(dir)); got != 0o600 {
		t.Errorf("the socket is %o", got)
	}
	conn, err := Dial(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := contractsv1.NewContractServiceClient(conn).List(t.Context(), &contractsv1.ListRequest{}); err != nil {
		t.Errorf("contracts: %v", err)
	}
	_, err = peerv1.NewPeerServiceClient(conn).Invalidate(t.Context(), &peerv1.InvalidateRequest{})
	if status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), "nobody serves") {
		t.Errorf("what services serve for each other: %v", err)
	}
	if _, err := fleetv1.NewFleetServiceClient(conn).Stop(t.Context(), &fleetv1.StopRequest{}); err != nil {
		t.Errorf("stop: %v", err)
	}
	if err := <-s.Done(); err != nil {
		t.Errorf("it was asked to end: %v", err)
	}
}
