package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// What bounds a connection before there is a request.
const (
	readHeaderTimeout = 10 * time.Second // slow headers are an attack
	idleTimeout       = 2 * time.Minute
	maxStreams        = 250
)

// newServer speaks HTTP/1.1 and HTTP/2 on one port, without TLS: gRPC clients
// need the latter.
func newServer(g *Gateway) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:   g,
		Protocols: protocols,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams,
			// The deadlines of answers end their streams, by a word to the client. One
			// that reads nothing at all is not told: its connection has to end.
			WriteByteTimeout: g.numbers.writeTimeout.Get(),
		},
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ConnState:         g.connections.track,
		ErrorLog:          slog.NewLogLogger(g.logger.Handler(), slog.LevelDebug), // clients' faults
	}
}

// Serve serves on all listeners until Drain or Close, which is no error.
func (g *Gateway) Serve(listeners ...net.Listener) error {
	results := make(chan error, len(listeners))
	g.serving.mu.Lock()
	g.serving.listeners = listeners
	for _, l := range listeners {
		g.serving.loops.Go(func() { results <- g.server.Serve(l) })
	}
	g.serving.mu.Unlock()
	var first error
	for range listeners {
		if err := <-results; !g.ended(err) && first == nil {
			first = fmt.Errorf("serve the gateway: %w", err)
			_ = g.server.Close() // the other listeners end with it
		}
	}
	return first
}

// ended tells whether a listener's end was meant.
func (g *Gateway) ended(err error) bool {
	return errors.Is(err, http.ErrServerClosed) || g.isDraining() && errors.Is(err, net.ErrClosed)
}
