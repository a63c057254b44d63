package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/telemetry"
)

// ClientOptions says what a Client needs. Only Registry is required.
type ClientOptions struct {
	// Registry knows the instances.
	Registry *registry.Registry
	// Settings are obeyed live; nil: the defaults.
	Settings *config.Settings
	// Tracer records a span per call; nil: none.
	Tracer *telemetry.Tracer
	// Metrics receives the client's metrics; nil: none.
	Metrics prometheus.Registerer
	// Logger; nil: slog.Default.
	Logger *slog.Logger
	// Service is the caller's own name, which ServiceKey signs. Without a key
	// the other side can't tell who calls, and answers only public methods.
	Service    string
	ServiceKey *auth.ServiceKey
	// Zone and Host are where the caller runs: instances of the same zone are
	// preferred, those of the same host are reached by their sockets.
	Zone, Host string
	// Methods says what the contract says of a method; nil for an unknown
	// one, which is then never retried. A nil func reads the contracts linked
	// into the program; a gateway knows contracts only by reflection. It is
	// asked on every call, so that an answer may change.
	Methods func(fullMethod string) *contract.Method
	// Credentials secure connections by TCP; nil: none.
	Credentials credentials.TransportCredentials
}

// Client calls contracts. It finds the instances of a contract, keeps a
// connection to each, chooses one per call, and does what the contract and the
// live settings say about deadlines, retries and protection, for unary calls
// and streams alike. It is safe for concurrent use.
type Client struct {
	opts    ClientOptions
	logger  *slog.Logger
	metrics *clientMetrics
	born    time.Time

	pool    *pool
	targets atomic.Pointer[map[string]*target] // the pool's, to be read without its lock
	methods registeredMethods
	faults  faultPolicy

	stop context.CancelFunc
	done sync.WaitGroup
}

var _ grpc.ClientConnInterface = (*Client)(nil)

// NewClient returns a client that follows the registry until Close.
func NewClient(opts ClientOptions) (*Client, error) {
	if opts.Registry == nil {
		return nil, errors.New("new client: no registry")
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &Client{opts: opts, logger: opts.Logger, born: time.Now(), stop: stop}
	if c.logger == nil {
		c.logger = slog.Default()
	}
	if c.opts.Methods == nil {
		c.opts.Methods = linkedContracts()
	}
	c.pool = newPool(ctx, c)
	metrics, err := newClientMetrics(c, opts.Metrics)
	if err != nil {
		stop()
		return nil, fmt.Errorf("new client: %w", err)
	}
	c.metrics = metrics
	c.faults.counts, c.faults.logger = newFaultCounter(opts.Metrics), c.logger
	c.faults.follow(opts.Settings, config.Scope{}, settingFaultPartition)
	changes, unwatch := opts.Registry.Watch()
	c.pool.update(opts.Registry.Snapshot().Instances)
	c.done.Go(func() {
		defer unwatch()
		c.follow(ctx, changes)
	})
	return c, nil
}

// follow brings every change of the registry to the pool.
func (c *Client) follow(ctx context.Context, changes <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-changes:
			c.pool.update(c.opts.Registry.Snapshot().Instances)
		}
	}
}

// now is the time since the client was made: cheaper to keep and to compare
// than a time.Time, and untouched by changes of the wall clock.
func (c *Client) now() int64 { return int64(time.Since(c.born)) }

// Ready reports whether an instance of the contract can be called now. The
// first question makes the client connect.
func (c *Client) Ready(contract string) bool {
	t, err := c.target(contract)
	return err == nil && len(t.view.Load().usable) > 0
}

// ServiceOf returns the name of the service that serves a contract, of which
// there must be one, and one only, that is known.
func (c *Client) ServiceOf(contract string) (string, error) {
	found := ""
	for _, i := range c.opts.Registry.Contract(contract) {
		if found != "" && i.Service != found {
			return "", fmt.Errorf("%s is served by %s and by %s, so nobody knows which is meant", contract, found, i.Service)
		}
		found = i.Service
	}
	if found == "" {
		return "", &Error{Code: codes.Unavailable, Message: "nobody serves " + contract}
	}
	return found, nil
}

// Close ends all connections, and the calls that still run on them.
func (c *Client) Close() error {
	c.stop()
	c.pool.close()
	c.methods.close()
	c.faults.stop()
	c.metrics.close()
	c.done.Wait()
	return nil
}
