package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/gowarren/warren/internal/node"
)

// Dial connects to the supervisor of the system in a data folder.
func Dial(dataDir string) (*grpc.ClientConn, error) {
	dir, err := filepath.Abs(dataDir)
	if err != nil {
		return nil, fmt.Errorf("find the running system: %w", err)
	}
	conn, err := (&net.Dialer{}).DialContext(context.Background(), "unix", node.ControlSocket(dir))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("no system runs in %s; start one with: warren up", dataDir)
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("the supervisor in %s is not running: it was killed, and its processes with it; start the system again with: warren up", dataDir)
	case err != nil:
		return nil, fmt.Errorf("reach the supervisor in %s: %w", dataDir, err)
	}
	_ = conn.Close()
	return connection(dir)
}

// connection is one to the control socket of a data folder, once it is used.
func connection(dir string) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///supervisor", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", node.ControlSocket(dir))
		}))
}

// WaitGone returns when no supervisor holds the data folder any more.
func WaitGone(ctx context.Context, dataDir string) error {
	const pause = 50 * time.Millisecond
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		lock, err := os.OpenFile(filepath.Join(dataDir, lockName), os.O_RDWR|syscall.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("look at the data folder's lock: %w", err)
		}
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		_ = lock.Close() // and with it the lock
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for the end of the system in %s: %w", dataDir, ctx.Err())
		}
	}
}
