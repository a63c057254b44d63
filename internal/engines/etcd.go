// Package engines runs real servers inside this process, so that a system needs
// nothing installed: etcd for the registry and the config centre, NATS for events.
package engines

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
)

// EtcdOptions say how to run etcd. Only Dir is required.
type EtcdOptions struct {
	// Dir holds the data. It is made when missing, and locked while in use.
	Dir string
	// Address to listen on; port 0 takes a free one. Default 127.0.0.1:0.
	Address string
	// Quota bounds the database in bytes. Default 2 GiB.
	Quota int64
	// Retention of old revisions. Default 1 h.
	Retention time.Duration
	// DefragEvery is the time between looks at whether the database file holds
	// enough unused space to give back. Default 10 min.
	DefragEvery time.Duration
	// Logger gets etcd's log from level warn on. Default slog.Default.
	Logger *slog.Logger
	// NoSync leaves out fsync: for tests, whose data may be lost.
	NoSync bool
}

// Etcd is a running server of one member.
type Etcd struct {
	server *embed.Etcd
	client *clientv3.Client
	lock   *fileutil.LockedFile
	fault  *fault
	stop   context.CancelFunc
	done   sync.WaitGroup
	close  sync.Once
}

// StartEtcd starts etcd and returns when it answers. What is in its way (a
// port, another process, a full disk, damaged data) is named by the error.
func StartEtcd(ctx context.Context, opts EtcdOptions) (*Etcd, error) {
	opts.Address = cmp.Or(opts.Address, "127.0.0.1:0")
	opts.Quota = cmp.Or(opts.Quota, 2<<30)
	opts.Retention = cmp.Or(opts.Retention, time.Hour)
	opts.DefragEvery = cmp.Or(opts.DefragEvery, 10*time.Minute)
	opts.Logger = cmp.Or(opts.Logger, slog.Default()).With("engine", "etcd")
	lock, err := lockDir(opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("start etcd: %w", err)
	}
	e := &Etcd{lock: lock, fault: newFault()}
	if e.server, err = e.launch(ctx, opts); err == nil {
		err = e.ready(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("start etcd in %s: %w", opts.Dir, errors.Join(err, e.Close()))
	}
	e.client = v3client.New(e.server.Server)
	background, stop := context.WithCancel(context.Background())
	e.stop = stop
	e.done.Go(func() { e.watchErrors(background) })
	e.done.Go(func() { e.maintain(background, opts) })
	return e, nil
}

// lockDir takes a lock of our own: etcd would wait for the other process
// without end and without a word.
func lockDir(dir string) (*fileutil.LockedFile, error) {
	if dir == "" {
		return nil, errors.New("no directory is given for its data")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	if free, err := freeSpace(dir); err == nil && free < minimumSpace {
		return nil, fmt.Errorf("only %d MiB are free on the disk of %s; it needs %d MiB", free>>20, dir, minimumSpace>>20)
	}
	lock, err := fileutil.TryLockFile(filepath.Join(dir, "lock"), os.O_WRONLY|os.O_CREATE, 0o600)
	if errors.Is(err, fileutil.ErrLocked) {
		return nil, fmt.Errorf("%s is in use by another process", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	return lock, nil
}

// minimumSpace is what etcd needs at once: it writes its log in files of 64 MB.
const minimumSpace = 128 << 20

func (e *Etcd) launch(ctx context.Context, opts EtcdOptions) (*embed.Etcd, error) {
	if err := checkAddress(opts.Address); err != nil {
		return nil, err
	}
	config := embed.NewConfig()
	config.Dir = filepath.Join(opts.Dir, "etcd")
	config.Name = "embedded"
	config.ListenClientUrls = []url.URL{{Scheme: "http", Host: opts.Address}}
	config.AdvertiseClientUrls = config.ListenClientUrls
	// One member has no peers: it listens for none, and the address is a name.
	config.ListenPeerUrls = nil
	config.AdvertisePeerUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:1"}}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	// Nobody competes in an election, so it need not take long; what matters is
	// that a lease may be as short as a second.
	config.TickMs, config.ElectionMs = 50, 500
	config.QuotaBackendBytes = opts.Quota
	config.AutoCompactionMode = embed.CompactorModePeriodic
	config.AutoCompactionRetention = opts.Retention.String()
	config.EnableGRPCGateway = false
	config.UnsafeNoFsync = opts.NoSync
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(newZapLogger(opts.Logger, e.fault))

	server, err := guard(ctx, e.fault,
		func() (*embed.Etcd, error) { return embed.StartEtcd(config) },
		func(late *embed.Etcd) {
			if late != nil {
				late.Close()
			}
		})
	switch {
	case err == nil:
		return server, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("address %s is already in use", opts.Address)
	case errors.Is(err, syscall.ENOSPC):
		return nil, fmt.Errorf("the disk is full: %w", err)
	case e.fault.err() != nil:
		// It did not return this error: it died of it.
		return nil, fmt.Errorf("its data may be damaged: %w", err)
	}
	return nil, err
}

func checkAddress(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("malformed address %q: %w", address, err)
	}
	if net.ParseIP(host) == nil {
		return fmt.Errorf("malformed address %q: the host must be an IP address", address)
	}
	return nil
}

func (e *Etcd) ready(ctx context.Context) error {
	select {
	case <-e.server.Server.ReadyNotify():
		return nil
	case err := <-e.server.Err():
		return err
	case <-e.fault.happened:
		return e.fault.err()
	case <-ctx.Done():
		return fmt.Errorf("wait until it is ready: %w", context.Cause(ctx))
	}
}

func (e *Etcd) watchErrors(ctx context.Context) {
	select {
	case err := <-e.server.Err():
		e.fault.record(err)
	case <-ctx.Done():
	}
}

// Endpoint is the host and port that clients use.
func (e *Etcd) Endpoint() string { return e.server.Clients[0].Addr().String() }

// Failed is closed when the server has died of something that Health names,
// such as a disk that no longer takes its writes.
func (e *Etcd) Failed() <-chan struct{} { return e.fault.happened }

// Health tells what is wrong, if anything.
func (e *Etcd) Health(ctx context.Context) error {
	if err := e.fault.err(); err != nil {
		return fmt.Errorf("etcd has died: %w", err)
	}
	if _, err := e.client.Get(ctx, "health"); err != nil {
		return fmt.Errorf("ask etcd for a key: %w", err)
	}
	alarms, err := e.client.AlarmList(ctx)
	if err != nil {
		return fmt.Errorf("ask etcd for alarms: %w", err)
	}
	for _, alarm := range alarms.Alarms {
		return fmt.Errorf("etcd raised alarm %s", alarm.GetAlarm())
	}
	return nil
}

// Close stops the server. The data stays.
func (e *Etcd) Close() error {
	var err error
	e.close.Do(func() {
		e.fault.closing.Store(true)
		if e.stop != nil {
			e.stop()
			e.done.Wait()
		}
		if e.client != nil {
			_ = e.client.Close() // it reports no more than that its context has ended
		}
		if e.server != nil {
			err = e.shutdown()
		}
		err = errors.Join(err, e.lock.Close())
	})
	return err
}

// shutdown bounds the wait for a server that may be too damaged to stop.
func (e *Etcd) shutdown() error {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		// The raft loop goes first. Watches never end by themselves, and etcd
		// would wait seconds for them.
		e.server.Server.Stop()
		e.server.Close()
	}()
	select {
	case <-closed:
		return nil
	case <-time.After(15 * time.Second):
		return errors.New("stop etcd: it does not come to an end")
	}
}
