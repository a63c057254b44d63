package store

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestLostConnections: whatever the network says of a connection that was there, the
// database is unavailable, and nobody takes it for a mistake of his own.
func TestLostConnections(t *testing.T) {
	db, err := Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "test.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, errno := range []syscall.Errno{
		syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ENETDOWN, syscall.ECONNABORTED, syscall.ECONNRESET, syscall.EPIPE,
	} {
		for _, op := range []string{"read", "write"} {
			said := fmt.Errorf("receive message: %w", &net.OpError{Op: op, Net: "tcp", Err: os.NewSyscallError(op, errno)})
			if err := db.explain(t.Context(), said); !errors.Is(err, ErrUnavailable) {
				t.Errorf("%v is explained as %v", said, err)
			}
		}
	}
}
