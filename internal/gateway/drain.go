package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// lameDuck is how long connections that are kept alive get to hear, with their
// next answer, that they should go elsewhere.
const lameDuck = time.Second

// connections counts what is open, so that a drain knows when all have gone.
type connections struct {
	mu    sync.Mutex
	open  map[net.Conn]http.ConnState
	empty chan struct{} // closed when the last one is gone; nil: nobody waits
}

// track is a hook of http.Server.
func (c *connections) track(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[net.Conn]http.ConnState{}
	}
	switch state {
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
	default:
		c.open[conn] = state
	}
	if c.empty != nil && len(c.open) == 0 {
		close(c.empty)
		c.empty = nil
	}
}

// gone returns a channel that closes when no connection is open.
func (c *connections) gone() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.empty == nil {
		c.empty = make(chan struct{})
	}
	empty := c.empty
	if len(c.open) == 0 {
		close(c.empty)
		c.empty = nil
	}
	return empty
}

// Drain ends the gateway gently. http.Server.Shutdown alone would drop requests
// that were read, but not yet handled, when it began, so it comes last:
// listeners close first, what they accepted is served, and every answer tells
// its client to go. Streams, which may have no end of their own, are asked to
// end at half of the time.
func (g *Gateway) Drain(ctx context.Context) error {
	g.stopReady()
	half := time.Second
	if deadline, ok := ctx.Deadline(); ok {
		half = time.Until(deadline) / 2
	}
	timer := time.AfterFunc(half, g.stopStreams)
	defer timer.Stop()
	g.closeListeners()

	duck := time.NewTimer(lameDuck)
	defer duck.Stop()
	select {
	case <-g.connections.gone():
	case <-duck.C:
	case <-ctx.Done():
	}
	if err := g.server.Shutdown(ctx); err != nil {
		g.stopStreams()
		return errors.Join(fmt.Errorf("drain the gateway: %w", err), g.server.Close())
	}
	g.stopStreams()
	return nil
}

// closeListeners returns when nothing is accepted any more.
func (g *Gateway) closeListeners() {
	g.serving.mu.Lock()
	listeners := g.serving.listeners
	g.serving.mu.Unlock()
	for _, l := range listeners {
		_ = l.Close()
	}
	g.serving.loops.Wait()
}

// serving is what accepts connections.
type serving struct {
	mu        sync.Mutex
	listeners []net.Listener
	loops     sync.WaitGroup
}
