package gateway

import (
	"context"
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
		Handler:           g,
		Protocols:         protocols,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(g.logger.Handler(), slog.LevelDebug), // clients' faults
	}
}

// Serve serves on all listeners until Drain or Close, which is no error.
func (g *Gateway) Serve(listeners ...net.Listener) error {
	results := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { results <- g.server.Serve(l) }()
	}
	var first error
	for range listeners {
		if err := <-results; !errors.Is(err, http.ErrServerClosed) && first == nil {
			first = fmt.Errorf("serve the gateway: %w", err)
			_ = g.server.Close() // the other listeners end with it
		}
	}
	return first
}

// Drain ends the gateway gently: it is not ready any more, takes no new
// connections, tells the old ones to go, and lets requests finish. Streams,
// which may have no end of their own, are asked to end at half of the time.
func (g *Gateway) Drain(ctx context.Context) error {
	g.stopReady()
	half := time.Second
	if deadline, ok := ctx.Deadline(); ok {
		half = time.Until(deadline) / 2
	}
	timer := time.AfterFunc(half, g.stopStreams)
	defer timer.Stop()
	if err := g.server.Shutdown(ctx); err != nil {
		g.stopStreams()
		return errors.Join(fmt.Errorf("drain the gateway: %w", err), g.server.Close())
	}
	g.stopStreams()
	return nil
}
