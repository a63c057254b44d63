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

	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	"github.com/gowarren/warren/internal/control"
	"github.com/gowarren/warren/internal/node"
)

// newControl makes the server of the control API, whose parts are registered
// before it listens.
func (s *Supervisor) newControl() *grpc.Server {
	written := func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		return s.api.Unary(ctx, req, info, handler)
	}
	return grpc.NewServer(grpc.UnknownServiceHandler(s.forward), grpc.UnaryInterceptor(written))
}

// openControl serves the control API: what the supervisor answers itself beside
// what internal/control answers for the system.
func (s *Supervisor) openControl() (err error) {
	path, err := s.data.key()
	if err != nil {
		return err
	}
	key, err := node.ReadKey(path)
	if err != nil {
		return err
	}
	list, err := s.openAudit()
	if err != nil {
		return err
	}
	s.api, err = control.Open(control.Options{
		Environment: s.system.Environment, Registry: s.registry, Settings: s.settings, Centre: s.centre, File: s.system.Settings,
		Key: key, Traces: s.tracesURL, Version: s.opts.Version, Logger: s.log, Audit: list,
		Instances: func() ([]*fleetv1.Instance, error) { return s.instances(nil) },
	})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, s.api.Close)
	s.api.Register(s.control)
	fleetv1.RegisterFleetServiceServer(s.control, &fleetService{supervisor: s})
	return nil
}

// forward passes on what nobody here answers.
func (s *Supervisor) forward(service any, stream grpc.ServerStream) error {
	return s.api.Forward(service, stream)
}

// listen serves the control socket. Only the folder's owner can reach it, which
// is the access control of its contracts.
func (s *Supervisor) listen() error {
	path := node.ControlSocket(s.data.dir)
	_ = os.Remove(path) // of a supervisor that was killed; the lock is ours
	l, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("listen on the control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(fmt.Errorf("listen on the control socket: %w", err), l.Close())
	}
	go func() { _ = s.control.Serve(l) }()
	return nil
}

// Dial connects to the supervisor of the system in a data folder.
func Dial(dataDir string, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
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
	return connection(dir, opts...)
}

// connection is one to the control socket of a data folder, once it is used.
func connection(dir string, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	opts = append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", node.ControlSocket(dir))
		}))
	return grpc.NewClient("passthrough:///supervisor", opts...)
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
