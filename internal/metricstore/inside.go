package metricstore

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// insideHost is the host of targets that are handlers of this process. It is
// no name that any resolver knows.
const insideHost = "inside.invalid"

// inside serves handlers of this process to the scraper over pipes: the process
// need not listen anywhere to be scraped like the others.
type inside struct {
	server *http.Server
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
	dialer net.Dialer

	mu       sync.Mutex
	handlers map[string]http.Handler // by path
}

func newInside() *inside {
	const patience = 10 * time.Second
	i := &inside{conns: make(chan net.Conn), closed: make(chan struct{}), handlers: map[string]http.Handler{}}
	i.server = &http.Server{Handler: http.HandlerFunc(i.serve), ReadHeaderTimeout: patience}
	go func() { _ = i.server.Serve(i) }() // ends when it is closed
	return i
}

func (i *inside) set(handlers map[string]http.Handler) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.handlers = handlers
}

func (i *inside) serve(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	h := i.handlers[r.URL.Path]
	i.mu.Unlock()
	if h == nil {
		http.NotFound(w, r)
		return
	}
	h.ServeHTTP(w, r)
}

// dial connects to a target: over the network, or to this process.
func (i *inside) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil || host != insideHost {
		return i.dialer.DialContext(ctx, network, address)
	}
	here, there := net.Pipe()
	select {
	case i.conns <- there:
		return here, nil
	case <-i.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept, Close and Addr make it the listener of its own server.
func (i *inside) Accept() (net.Conn, error) {
	select {
	case c := <-i.conns:
		return c, nil
	case <-i.closed:
		return nil, net.ErrClosed
	}
}

func (i *inside) Close() error {
	i.once.Do(func() { close(i.closed) })
	return nil
}

func (*inside) Addr() net.Addr { return &net.UnixAddr{Name: insideHost} }

func (i *inside) close() { _ = i.server.Close() }
