package enginestest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// Cluster is an etcd of three members in this process, as production has it:
// members die and come back, and without two of them nothing is decided.
type Cluster struct {
	members []*member
	tls     *authority // nil: no TLS
	user    string     // empty: whoever reaches it may all
	secret  string     // file with the user's password
	system  string     // the one that the user may read and write
	root    clientv3.Config
}

// ClusterOptions say who may speak with a cluster.
type ClusterOptions struct {
	// TLS lets only clients in that have a certificate of the cluster's
	// authority.
	TLS bool
	// User, if any, needs Password, and may read and write the keys of System
	// and no others.
	User, Password, System string
}

type member struct {
	config *embed.Config

	mu     sync.Mutex
	server *embed.Etcd
}

// bound is far more than a cluster takes for anything.
const bound = 30 * time.Second

// StartCluster starts a cluster that ends with the test.
func StartCluster(tb testing.TB, opts ClusterOptions) *Cluster {
	tb.Helper()
	c := &Cluster{user: opts.User, system: opts.System}
	if opts.TLS {
		c.tls = newAuthority(tb)
	}
	c.configure(tb)
	tb.Cleanup(func() { c.Kill(tb, 0, 1, 2) })
	c.Start(tb)
	if opts.User != "" {
		c.requireUser(tb, opts)
	}
	return c
}

// configure finds the members' addresses. All are held until all are found.
func (c *Cluster) configure(tb testing.TB) {
	tb.Helper()
	scheme := "http"
	if c.tls != nil {
		scheme = "https"
	}
	var found []net.Listener
	take := func(scheme string) []url.URL {
		l := listen(tb)
		found = append(found, l)
		return []url.URL{{Scheme: scheme, Host: l.Addr().String()}}
	}
	var all []string
	for i := range 3 {
		config := embed.NewConfig()
		config.Name, config.Dir = fmt.Sprintf("m%d", i), filepath.Join(tb.TempDir(), "etcd")
		config.ListenClientUrls, config.ListenPeerUrls = take(scheme), take("http")
		config.AdvertiseClientUrls, config.AdvertisePeerUrls = config.ListenClientUrls, config.ListenPeerUrls
		config.TickMs, config.ElectionMs = 100, 1000
		config.EnableGRPCGateway, config.UnsafeNoFsync = false, true
		config.BcryptCost = 4 // the least: passwords of tests need no protection
		config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
		if c.tls != nil {
			config.ClientTLSInfo = transport.TLSInfo{
				CertFile: c.tls.serverCert, KeyFile: c.tls.serverKey, TrustedCAFile: c.tls.ca, ClientCertAuth: true,
			}
		}
		all = append(all, config.Name+"="+config.ListenPeerUrls[0].String())
		c.members = append(c.members, &member{config: config})
	}
	for i, m := range c.members {
		m.config.InitialCluster = strings.Join(all, ",")
		found[2*i].Close()
		found[2*i+1].Close()
	}
	c.root = clientv3.Config{Endpoints: c.Endpoints(), Logger: zap.NewNop(), DialTimeout: 3 * time.Second}
	if c.tls != nil {
		c.root.TLS = c.tls.client(tb)
	}
}

// Endpoints are the members' hosts and ports.
func (c *Cluster) Endpoints() []string {
	var endpoints []string
	for _, m := range c.members {
		endpoints = append(endpoints, m.config.ListenClientUrls[0].Host)
	}
	return endpoints
}

// URL is the address of a system on this cluster, reached by the given hosts
// and ports (none: the members' own), with what is needed to be let in.
func (c *Cluster) URL(system string, hosts ...string) string {
	if len(hosts) == 0 {
		hosts = c.Endpoints()
	}
	query := url.Values{}
	if c.tls != nil {
		query.Set("ca", c.tls.ca)
		query.Set("cert", c.tls.clientCert)
		query.Set("key", c.tls.clientKey)
	}
	u := url.URL{Scheme: "etcd", Host: strings.Join(hosts, ","), Path: system}
	if c.user != "" {
		u.User = url.User(c.user)
		query.Set("password_file", c.secret)
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// Client is a client that may do anything.
func (c *Cluster) Client(tb testing.TB) *clientv3.Client {
	tb.Helper()
	client, err := clientv3.New(c.root)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { client.Close() })
	return client
}

// Leader is the number of the member that leads.
func (c *Cluster) Leader(tb testing.TB) int {
	tb.Helper()
	for end := time.Now().Add(bound); time.Now().Before(end); <-time.After(20 * time.Millisecond) {
		for i, m := range c.members {
			m.mu.Lock()
			leads := m.server != nil && m.server.Server.Leader() == m.server.Server.MemberID()
			m.mu.Unlock()
			if leads {
				return i
			}
		}
	}
	tb.Fatal("the cluster has no leader")
	return 0
}

// Kill ends members without a goodbye: no leadership is handed over.
func (c *Cluster) Kill(tb testing.TB, which ...int) {
	tb.Helper()
	var group sync.WaitGroup
	for _, i := range which {
		group.Go(c.members[i].kill)
	}
	group.Wait()
}

// Start starts the members that do not run, with the data they had, and
// returns when the cluster answers through each of them.
func (c *Cluster) Start(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	errs := make([]error, len(c.members))
	var group sync.WaitGroup
	for i, m := range c.members {
		group.Go(func() { errs[i] = m.start(ctx) })
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		tb.Fatal(err)
	}
}

func (m *member) start(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.server != nil {
		return nil
	}
	config := *m.config // etcd writes into it
	server, err := embed.StartEtcd(&config)
	for ; errors.Is(err, syscall.EADDRINUSE) && ctx.Err() == nil; server, err = embed.StartEtcd(&config) {
		<-time.After(50 * time.Millisecond) // somebody has the port for a moment
		config = *m.config
	}
	if err != nil {
		return fmt.Errorf("start member %s: %w", m.config.Name, err)
	}
	m.server = server
	if err := ready(ctx, server); err != nil {
		return fmt.Errorf("wait for member %s: %w", m.config.Name, err)
	}
	return nil
}

// ready waits until the member has joined the others and knows what they know.
func ready(ctx context.Context, server *embed.Etcd) error {
	select {
	case <-server.Server.ReadyNotify():
	case err := <-server.Err():
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
	return server.Server.LinearizableReadNotify(ctx)
}

func (m *member) kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.server != nil {
		m.server.Server.HardStop()
		m.server.Close()
		m.server = nil
	}
}

// requireUser makes the user the only one, beside root, who is let in.
func (c *Cluster) requireUser(tb testing.TB, opts ClusterOptions) {
	tb.Helper()
	c.secret = filepath.Join(tb.TempDir(), "password")
	write(tb, c.secret, []byte(opts.Password+"\n"))
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	client, keys := c.Client(tb), "/"+opts.System+"/"
	const root = "root"
	var errs []error
	step := func(_ any, err error) { errs = append(errs, err) }
	step(client.RoleAdd(ctx, root))
	step(client.UserAdd(ctx, root, root))
	step(client.UserGrantRole(ctx, root, root))
	step(client.RoleAdd(ctx, opts.System))
	step(client.RoleGrantPermission(ctx, opts.System, keys, clientv3.GetPrefixRangeEnd(keys),
		clientv3.PermissionType(clientv3.PermReadWrite)))
	step(client.UserAdd(ctx, opts.User, opts.Password))
	step(client.UserGrantRole(ctx, opts.User, opts.System))
	step(client.AuthEnable(ctx))
	if err := errors.Join(errs...); err != nil {
		tb.Fatal(err)
	}
	c.root.Username, c.root.Password = root, root
}
