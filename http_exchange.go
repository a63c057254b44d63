package warren

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/gowarren/warren/internal/requests"
	"github.com/gowarren/warren/telemetry"
)

const (
	statusClientLeft = 499 // as the gateway counts who did not wait for the answer
	maxShownPath     = 512 // what clients made up is not kept whole
)

// httpExchange is one request on its way through a handler of plain HTTP. It is
// the ResponseWriter that the handler gets, and can do all that the one of
// net/http can.
type httpExchange struct {
	http.ResponseWriter
	server *httpServer
	r      *http.Request
	route  *httpRoute // nil until its handler has begun
	span   *telemetry.Span
	method string
	id     string // of the request, where the system gave it one
	start  time.Time
	status int       // 0: nothing was answered yet
	opened time.Time // when an answer began that is a stream
}

// exchange begins to account for a request.
func (s *httpServer) exchange(w http.ResponseWriter, r *http.Request) *httpExchange {
	e := &httpExchange{ResponseWriter: w, server: s, method: requests.Method(r.Method), start: time.Now()}
	s.last.Store(int64(e.start.Sub(s.began)))
	s.metrics.active[e.method].Inc()
	var ctx context.Context
	if s.ofSystem(r.Header) {
		ctx, e.id = s.tracer.ExtractHTTP(r.Context(), r.Header), r.Header.Get("X-Request-Id")
	} else {
		ctx = s.tracer.AdoptHTTP(r.Context(), r.Header) // as the gateway does by default
	}
	ctx, e.span = s.tracer.Start(ctx, e.method, trace.SpanKindServer)
	e.r = r.WithContext(ctx)
	return e
}

// ofSystem says whether the gateway, or another process of the system, sent the
// request. It says so with its signed name, which no handler is shown. Where
// processes have no names, nobody can tell.
func (s *httpServer) ofSystem(h http.Header) bool {
	if s.key == nil {
		return true
	}
	tokens := h["Warren-Service"]
	delete(h, "Warren-Service")
	if len(tokens) != 1 {
		return false
	}
	_, err := s.key.Verify(tokens[0])
	return err == nil
}

// end accounts for the request, whatever became of it.
func (e *httpExchange) end() {
	p := recover()
	s, route := e.server, e.route
	if route == nil {
		route = s.metrics.find(e.r.Pattern)
	}
	status := e.outcome(p)
	s.metrics.active[e.method].Dec()
	took := time.Since(e.start)
	if !e.opened.IsZero() {
		took = e.opened.Sub(e.start)
	}
	route.observe(e.method, status, took)
	e.endSpan(route, status, p)
	s.abort(e.r.Context(), route, p)
}

// outcome is the status that the request counts as.
func (e *httpExchange) outcome(p any) int {
	left := e.r.Context().Err() != nil
	switch {
	case left && (p == http.ErrAbortHandler || p == nil && e.status == 0): //nolint:errorlint // as net/http compares it
		return statusClientLeft
	case p != nil:
		return http.StatusInternalServerError
	case e.status == 0:
		return http.StatusOK // net/http says so
	}
	return e.status
}

func (e *httpExchange) endSpan(route *httpRoute, status int, p any) {
	e.span.SetName(route.spans[e.method])
	switch {
	case status >= 500 && p != nil:
		e.span.SetError(fmt.Errorf("panic: %v", p))
	case status >= 500:
		e.span.SetError(fmt.Errorf("answered %d", status))
	}
	if !e.span.Recording() {
		return
	}
	path := e.r.URL.Path
	e.span.SetAttr(attribute.Int("http.response.status_code", status), attribute.String("url.path", path[:min(len(path), maxShownPath)]),
		attribute.String("http.request.method", e.method), attribute.String("http.route", route.path), attribute.String("url.scheme", "http"))
	if e.id != "" {
		e.span.SetAttr(attribute.String("warren.request.id", e.id))
	}
	e.span.End()
}

// began notes that the answer has begun.
func (e *httpExchange) began(status int) {
	if e.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		e.status = status
		if requests.Stream(status, e.Header()) {
			e.opened = time.Now()
		}
	}
}

// WriteHeader implements http.ResponseWriter.
func (e *httpExchange) WriteHeader(status int) {
	e.began(status)
	e.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (e *httpExchange) Write(b []byte) (int, error) {
	e.began(http.StatusOK)
	return e.ResponseWriter.Write(b)
}

// WriteString implements io.StringWriter, which saves a copy.
func (e *httpExchange) WriteString(text string) (int, error) {
	e.began(http.StatusOK)
	return io.WriteString(e.ResponseWriter, text)
}

// ReadFrom implements io.ReaderFrom, by which files are sent without a copy.
// Where nothing could be read, there is another answer still.
func (e *httpExchange) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(e.ResponseWriter, r)
	if n > 0 {
		e.began(http.StatusOK)
	}
	return n, err
}

// Flush implements http.Flusher.
func (e *httpExchange) Flush() { _ = e.FlushError() } // an error comes back from the next write

// FlushError is what http.ResponseController flushes by.
func (e *httpExchange) FlushError() error {
	e.began(http.StatusOK)
	return http.NewResponseController(e.ResponseWriter).Flush()
}

// Hijack implements http.Hijacker: it gives the connection to another protocol.
func (e *httpExchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(e.ResponseWriter).Hijack()
	if err == nil {
		e.began(http.StatusSwitchingProtocols)
	}
	return conn, rw, err
}

// Unwrap lets http.ResponseController reach what else the connection can do.
func (e *httpExchange) Unwrap() http.ResponseWriter { return e.ResponseWriter }
