// Package etcdlock keeps locks in etcd.
//
// # URLs
//
//	etcd://host:2379[,host:2379…]/<system>?param=value
//
// with the parameters of every driver of etcd (dial_timeout, tls, ca, cert,
// key, server_name, password_file).
//
// # Guarantees
//
// Consensus: a lock is a key under a lease, taken by a transaction; a minority
// of the cluster may be lost without anybody noticing. Tokens are etcd's
// revisions. A new leader of the cluster extends all leases, so a lock can
// outlive its holder for longer than its TTL, but never end earlier.
package etcdlock

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gowarren/warren/internal/etcdurl"
	"github.com/gowarren/warren/lock/driver"
)

// waitMost bounds one wait: a lost watch must not make a waiter wait for ever.
const waitMost = 5 * time.Second

type etcd struct {
	lazy    *etcdurl.Client
	servers string // for errors
	prefix  string

	mu     sync.Mutex
	leases map[string]clientv3.LeaseID // by owner
}

// Open returns the driver for a URL. It does not wait for the cluster.
func Open(_ context.Context, u *url.URL) (driver.Driver, error) {
	target, err := etcdurl.Parse(u)
	if err != nil {
		return nil, err
	}
	if err := target.Params.Err(); err != nil {
		return nil, err
	}
	return &etcd{
		lazy: etcdurl.NewClient(target), servers: strings.Join(target.Config.Endpoints, ","),
		prefix: target.Prefix + "locks/", leases: map[string]clientv3.LeaseID{},
	}, nil
}

func (e *etcd) Acquire(ctx context.Context, name, owner string, ttl time.Duration) (int64, error) {
	client, err := e.lazy.Get()
	if err != nil {
		return 0, e.failure(err)
	}
	lease, err := client.Grant(ctx, seconds(ttl))
	if err != nil {
		return 0, e.failure(err)
	}
	key := e.prefix + name
	resp, err := client.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, owner, clientv3.WithLease(lease.ID))).
		Commit()
	if err == nil && resp.Succeeded {
		e.mu.Lock()
		e.leases[owner] = lease.ID
		e.mu.Unlock()
		return resp.Header.GetRevision(), nil
	}
	// What the transaction did is unknown when its answer is lost: without its
	// lease the key is gone in any case.
	e.revoke(ctx, client, lease.ID)
	if err != nil {
		return 0, e.failure(err)
	}
	return 0, driver.ErrHeld
}

func (e *etcd) Renew(ctx context.Context, name, owner string, token int64, _ time.Duration) error {
	client, err := e.lazy.Get()
	if err != nil {
		return e.failure(err)
	}
	lease, ok := e.lease(owner)
	if !ok {
		return driver.ErrLost
	}
	if _, err := client.KeepAliveOnce(ctx, lease); errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return driver.ErrLost
	} else if err != nil {
		return e.failure(err)
	}
	// A lease that lives does not say that the key does: a person may have
	// deleted it, and another owner put theirs.
	resp, err := client.Get(ctx, e.prefix+name)
	if err != nil {
		return e.failure(err)
	}
	if len(resp.Kvs) == 0 || resp.Kvs[0].GetCreateRevision() != token || string(resp.Kvs[0].GetValue()) != owner {
		return driver.ErrLost
	}
	return nil
}

func (e *etcd) Release(ctx context.Context, _, owner string, _ int64) error {
	lease, ok := e.lease(owner)
	if !ok {
		return nil
	}
	e.mu.Lock()
	delete(e.leases, owner)
	e.mu.Unlock()
	client, err := e.lazy.Get()
	if err != nil {
		return e.failure(err)
	}
	// The key goes with its lease, and only with it: another owner's stays.
	if _, err := client.Revoke(ctx, lease); err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return e.failure(err)
	}
	return nil
}

func (e *etcd) Wait(ctx context.Context, name string) error {
	bounded, cancel := context.WithTimeout(ctx, waitMost)
	defer cancel()
	client, err := e.lazy.Get()
	if err != nil {
		return e.failure(err)
	}
	key := e.prefix + name
	resp, err := client.Get(bounded, key)
	if err != nil {
		return e.over(ctx, bounded, err)
	}
	if len(resp.Kvs) == 0 {
		return nil
	}
	for w := range client.Watch(bounded, key, clientv3.WithRev(resp.Header.GetRevision()+1), clientv3.WithFilterPut()) {
		if err := w.Err(); err != nil {
			return e.over(ctx, bounded, err)
		}
		if len(w.Events) > 0 {
			return nil
		}
	}
	return ctx.Err()
}

// over tells the end of a wait that was only ours from one that the caller
// should know of.
func (e *etcd) over(ctx, bounded context.Context, err error) error {
	if ctx.Err() == nil && bounded.Err() == nil {
		return e.failure(err)
	}
	return ctx.Err()
}

func (e *etcd) Capabilities() driver.Capabilities { return driver.Capabilities{Consensus: true} }

func (e *etcd) Close() error { return e.lazy.Close() }

func (e *etcd) lease(owner string) (clientv3.LeaseID, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	id, ok := e.leases[owner]
	return id, ok
}

// revoke ends a lease that serves nobody; if it cannot, the lease ends itself.
func (e *etcd) revoke(ctx context.Context, client *clientv3.Client, id clientv3.LeaseID) {
	const patience = time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	_, _ = client.Revoke(ctx, id)
}

func (e *etcd) failure(err error) error { return fmt.Errorf("etcd at %s: %w", e.servers, err) }

// seconds rounds up: a lease must not end before the holder thinks so.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
