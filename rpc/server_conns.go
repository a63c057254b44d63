package rpc

import (
	"net"
	"sync"
	"sync/atomic"
)

// connections are the open connections of a server.
type connections struct {
	mu   sync.Mutex
	open map[*trackedConn]struct{}
}

func (c *connections) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}

func (c *connections) add(conn net.Conn) *trackedConn {
	tracked := &trackedConn{Conn: conn, all: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[*trackedConn]struct{}{}
	}
	c.open[tracked] = struct{}{}
	return tracked
}

func (c *connections) remove(conn *trackedConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, conn)
}

// close closes all connections, or only those whose peer never said a word:
// gRPC waits for their greeting before it stops, and they may never greet.
func (c *connections) close(onlySilent bool) {
	c.mu.Lock()
	var ending []*trackedConn
	for conn := range c.open {
		if !onlySilent || !conn.spoke.Load() {
			ending = append(ending, conn)
		}
	}
	c.mu.Unlock()
	for _, conn := range ending {
		conn.Close()
	}
}

// trackedListener notes the connections that it accepts.
type trackedListener struct {
	net.Listener
	conns *connections
}

// Accept returns the next connection.
func (l trackedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.conns.add(conn), nil
}

type trackedConn struct {
	net.Conn
	all   *connections
	spoke atomic.Bool // the peer has sent something
}

// Read reads, and notes that there was something to read.
func (c *trackedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && !c.spoke.Load() {
		c.spoke.Store(true)
	}
	return n, err
}

// Close closes the connection, once or more often.
func (c *trackedConn) Close() error {
	c.all.remove(c)
	return c.Conn.Close()
}
