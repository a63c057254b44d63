package rpc

import (
	"net"
	"path/filepath"
	"testing"
)

// Who stops a server may be faster than who serves it.
func TestServerStoppedBeforeItServesIsNoError(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(ServerOptions{})
	s.Stop()
	if err := s.Serve(l); err != nil {
		t.Errorf("serve: %v", err)
	}
}
