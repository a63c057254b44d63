// Package etcdregistry keeps a registry in etcd.
//
// # URLs
//
//	etcd://host:port[,host:port…]/<system>?ttl=5s
//
// ttl is the lease: how long an instance stays after its process died without
// a word. etcd takes whole seconds and has a minimum of its own. The other
// parameters (dial_timeout, ca, cert, key …) are those of every etcd address.
//
// # Layout
//
// An instance is the key /<system>/registry/<service>/<id>, both names escaped
// as in a URL path, with the JSON form of registry.Instance as its value, under
// the one lease of its process. That is all a program in another language needs
// to do to join. An instance that goes on purpose first writes the state
// "draining": a key that disappears without it has expired.
package etcdregistry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gowarren/warren/internal/etcdurl"
	"github.com/gowarren/warren/registry/driver"
)

// Open opens the registry at u. It does not wait for the cluster.
func Open(_ context.Context, u *url.URL) (driver.Driver, error) {
	target, err := etcdurl.Parse(u)
	if err != nil {
		return nil, err
	}
	ttl := target.Params.Duration("ttl", 5*time.Second)
	if err := target.Params.Err(); err != nil {
		return nil, err
	}
	if ttl < time.Second || ttl%time.Second != 0 {
		return nil, fmt.Errorf("ttl %v is not a whole number of seconds", ttl)
	}
	return &etcd{
		client:  etcdurl.NewClient(target),
		prefix:  target.Prefix + "registry/",
		ttl:     ttl,
		timeout: target.Config.DialTimeout,
	}, nil
}

type etcd struct {
	client  *etcdurl.Client
	prefix  string
	ttl     time.Duration
	timeout time.Duration // of one page of a listing

	mu      sync.Mutex
	session *session
}

func (e *etcd) Capabilities() driver.Capabilities {
	return driver.Capabilities{Announce: true, Expiry: true, Live: true}
}

func (e *etcd) key(service, id string) string {
	return e.prefix + url.PathEscape(service) + "/" + url.PathEscape(id)
}

// Put writes the instance under the lease of this process.
func (e *etcd) Put(ctx context.Context, instance driver.Instance) error {
	value, err := json.Marshal(instance)
	if err != nil {
		return fmt.Errorf("encode instance: %w", err)
	}
	client, err := e.client.Get()
	if err != nil {
		return err
	}
	session, err := e.open(ctx, client)
	if err != nil {
		return err
	}
	_, err = client.Put(ctx, e.key(instance.Service, instance.ID), string(value), clientv3.WithLease(session.id))
	if isLeaseGone(err) {
		session.end() // etcd knows before our keepalive does
	}
	return err
}

// Remove deletes what Put wrote. A key under another lease belongs to a process
// that has taken the name over.
func (e *etcd) Remove(ctx context.Context, service, id string) error {
	e.mu.Lock()
	session := e.session
	e.mu.Unlock()
	if session == nil {
		return nil
	}
	client, err := e.client.Get()
	if err != nil {
		return err
	}
	key := e.key(service, id)
	_, err = client.Txn(ctx).
		If(clientv3.Compare(clientv3.LeaseValue(key), "=", session.id)).
		Then(clientv3.OpDelete(key)).
		Commit()
	return err
}

// Lost is the end of the last session.
func (e *etcd) Lost() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.session == nil {
		return nil
	}
	return e.session.lost
}

// Close revokes the lease, so that nobody has to wait for it to expire, and
// closes the client.
func (e *etcd) Close() error {
	e.mu.Lock()
	session := e.session
	e.mu.Unlock()
	var err error
	if session != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		err = session.revoke(ctx)
	}
	return errors.Join(err, e.client.Close())
}
