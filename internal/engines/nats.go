package engines

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.etcd.io/etcd/client/pkg/v3/fileutil"
)

// NATSOptions say how to run NATS. Only Dir is required.
type NATSOptions struct {
	// Dir holds the data. It is made when missing, and locked while in use.
	Dir string
	// Address to listen on; port 0 takes a free one. Default 127.0.0.1:0.
	Address string
	// Token is what clients must know. Empty: whoever reaches the address is one.
	Token string
	// Quota bounds what JetStream stores, in bytes. Default 4 GiB.
	Quota int64
	// SyncInterval is how long a message that was accepted may not be on the disk.
	// NATS' own default is two minutes. Default 1 s, and the most.
	SyncInterval time.Duration
	// MaxPayload bounds a message in bytes. Default 1 MiB.
	MaxPayload int32
	// Logger gets NATS' log from level warn on. Default slog.Default.
	Logger *slog.Logger
}

// NATS is a running server with JetStream.
type NATS struct {
	server *server.Server
	lock   *fileutil.LockedFile
	close  sync.Once
}

// StartNATS starts NATS and returns when it answers. What is in its way (a port,
// another process, a full disk) is named by the error.
func StartNATS(ctx context.Context, opts NATSOptions) (*NATS, error) {
	opts.Address = cmp.Or(opts.Address, "127.0.0.1:0")
	opts.Quota = cmp.Or(opts.Quota, 4<<30)
	opts.SyncInterval = min(cmp.Or(opts.SyncInterval, time.Second), time.Second)
	opts.MaxPayload = cmp.Or(opts.MaxPayload, 1<<20)
	opts.Logger = cmp.Or(opts.Logger, slog.Default()).With("engine", "nats")
	lock, err := lockDir(opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("start NATS: %w", err)
	}
	n := &NATS{lock: lock}
	if err := n.launch(ctx, opts); err != nil {
		return nil, fmt.Errorf("start NATS in %s: %w", opts.Dir, errors.Join(err, n.Close()))
	}
	return n, nil
}

func (n *NATS) launch(ctx context.Context, opts NATSOptions) error {
	if err := checkAddress(opts.Address); err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(opts.Address)
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return fmt.Errorf("malformed port %q", port)
	}
	if number == 0 {
		number = server.RANDOM_PORT
	} else if err := portFree(opts.Address); err != nil {
		return err
	}
	n.server, err = server.NewServer(&server.Options{
		ServerName: "embedded", Host: host, Port: number, Authorization: opts.Token,
		JetStream: true, StoreDir: filepath.Join(opts.Dir, "nats"),
		JetStreamMaxStore: opts.Quota, JetStreamMaxMemory: 64 << 20,
		SyncInterval: opts.SyncInterval, MaxPayload: opts.MaxPayload,
		NoSigs: true, // signals are the program's
	})
	if err != nil {
		return err
	}
	died := make(chan error, 1)
	n.server.SetLoggerV2(&natsLog{to: opts.Logger, died: died}, false, false, false)
	go n.server.Start()
	for !n.server.ReadyForConnections(50 * time.Millisecond) {
		select {
		case err := <-died:
			return err
		case <-ctx.Done():
			return fmt.Errorf("wait until it is ready: %w", context.Cause(ctx))
		default:
		}
	}
	return nil
}

// portFree finds out before NATS does, which would try for ever.
func portFree(address string) error {
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("address %s is already in use", address)
	}
	if err != nil {
		return err
	}
	return l.Close()
}

// Endpoint is the host and port that clients use.
func (n *NATS) Endpoint() string { return n.server.Addr().String() }

// Health tells what is wrong, if anything.
func (n *NATS) Health(context.Context) error {
	switch {
	case !n.server.Running():
		return errors.New("NATS has ended")
	case !n.server.JetStreamEnabled():
		return errors.New("NATS has switched JetStream off: see its log, the disk may be full")
	}
	return nil
}

// Close stops the server. The data stays.
func (n *NATS) Close() error {
	var err error
	n.close.Do(func() {
		if n.server != nil {
			n.server.Shutdown()
			n.server.WaitForShutdown()
		}
		err = n.lock.Close()
	})
	return err
}

// natsLog writes NATS' warnings and errors to a slog.Logger. Alone in its process
// NATS would end it with a fatal line; as a guest it may only tell.
type natsLog struct {
	to   *slog.Logger
	died chan error
}

func (l *natsLog) Noticef(string, ...any) {}
func (l *natsLog) Debugf(string, ...any)  {}
func (l *natsLog) Tracef(string, ...any)  {}

func (l *natsLog) Warnf(format string, v ...any)  { l.to.Warn(fmt.Sprintf(format, v...)) }
func (l *natsLog) Errorf(format string, v ...any) { l.to.Error(fmt.Sprintf(format, v...)) }

func (l *natsLog) Fatalf(format string, v ...any) {
	err := fmt.Errorf(format, v...)
	l.to.Error(err.Error())
	select {
	case l.died <- err:
	default:
	}
}
