package store

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// justOver is a context whose deadline has passed by so little that it does not know.
type justOver struct{ context.Context }

func (justOver) Deadline() (time.Time, bool) { return time.Now().Add(-time.Microsecond), true }

// TestOwnDeadlineIsNotTheDatabases: sockets end at the caller's deadline, and may be
// quicker than his context. That does not make the database one that is away.
func TestOwnDeadlineIsNotTheDatabases(t *testing.T) {
	db, err := Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "test.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, op := range []string{"dial", "read", "write"} {
		said := &net.OpError{Op: op, Net: "tcp", Err: os.ErrDeadlineExceeded}
		if err := db.explain(justOver{t.Context()}, said); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrUnavailable) {
			t.Errorf("%v is explained as %v", said, err)
		}
		if err := db.explain(t.Context(), said); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%v, of who has no deadline, is explained as %v", said, err)
		}
	}
}
