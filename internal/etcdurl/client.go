package etcdurl

import (
	"errors"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Client is an etcd client that is made when it is first needed: with a user
// in the URL, making one asks the cluster for a token, and a cluster that is
// away must not stop a start.
type Client struct {
	config clientv3.Config

	mu     sync.Mutex
	client *clientv3.Client
	closed bool
}

// NewClient returns a client for the target. It opens no connection.
func NewClient(t Target) *Client { return &Client{config: t.Config} }

// Get returns the client. With a user it may take Config.DialTimeout and fail
// while the cluster is away; the next Get tries again.
func (c *Client) Get() (*clientv3.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errors.New("the etcd client is closed")
	}
	if c.client == nil {
		client, err := clientv3.New(c.config)
		if err != nil {
			return nil, err
		}
		c.client = client
	}
	return c.client, nil
}

// Close closes the client, if one was made.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.client != nil {
		_ = c.client.Close() // it reports no more than that its own context has ended
	}
	return nil
}
