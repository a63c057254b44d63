package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/internal/requests"
	"github.com/gowarren/warren/internal/transcode"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/telemetry"
)

// exchange is one request on its way through the gateway.
type exchange struct {
	g     *Gateway
	w     *recorder // the one below
	r     *http.Request
	ctx   context.Context // with trace, caller and deadline
	start time.Time

	id       string
	client   netip.Addr
	address  string // of client; "" when nobody knows it
	caller   auth.Caller
	found    found
	endpoint *endpoint
	span     *telemetry.Span
	grpc     grpcKind

	taken       []taken // from rate limits
	tightest    int     // what is left in the emptiest of them
	corsAllowed bool
	gone        bool   // the client left
	reason      string // of the problem answered

	recorder recorder
	oneTaken [1]taken // where taken begins: most methods have one limit
}

// ServeHTTP takes a request through the pipeline.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e := &exchange{g: g, r: r, ctx: r.Context(), start: time.Now(), grpc: grpcKindOf(r)}
	e.recorder = recorder{ResponseWriter: w, control: *http.NewResponseController(w), patience: g.numbers.writeTimeout.Get(), streams: r.ProtoMajor > 1}
	e.w = &e.recorder
	g.inFlight.Add(1)
	g.metrics.active[spanName(r.Method)].Inc()
	defer e.finish()
	e.begin()
	if p := e.admit(); p != nil {
		e.fail(p)
		return
	}
	strip(r.Header)
	switch {
	case e.grpc != notGRPC:
		e.serveGRPC()
	default:
		e.serveHTTP()
	}
}

// begin gives the request its name.
func (e *exchange) begin() {
	e.client = clientAddress(e.r, e.g.numbers.proxies.get())
	if e.client.IsValid() {
		e.address = e.client.String()
	}
	e.id = requestID(e.r)
	e.w.Header().Set("X-Request-Id", e.id)
	if e.r.ProtoMajor == 1 && e.g.isDraining() {
		e.w.Header().Set("Connection", "close") // the next request finds another gateway
	}
	trust := e.g.numbers.traceTrust.Get()
	if e.ofSystem() {
		trust = trustAll // a trace that a web site of the system has begun goes on behind the gateway
	}
	switch trust {
	case trustID:
		e.ctx = e.g.tracer.AdoptHTTP(e.ctx, e.r.Header)
	case trustAll:
		e.ctx = e.g.tracer.ExtractHTTP(e.ctx, e.r.Header)
	}
	e.ctx, e.span = e.g.tracer.Start(e.ctx, spanName(e.r.Method), trace.SpanKindServer)
}

// ofSystem says whether a service of the system sent the request. It says so with
// its signed name, which is taken out of the request before it goes on.
func (e *exchange) ofSystem() bool {
	tokens, key := e.r.Header["Warren-Service"], e.g.opts.Client.ServiceKey
	if len(tokens) != 1 || key == nil {
		return false
	}
	_, err := key.Verify(tokens[0])
	return err == nil
}

// spanName is the request's name until its route is known.
func spanName(method string) string { return requests.Method(method) }

func scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// admit refuses what is not looked at any further.
func (e *exchange) admit() *transcode.Problem {
	if e.g.inFlight.Load() > int64(e.g.numbers.concurrent.Get()) {
		return transcode.NewProblem(http.StatusServiceUnavailable, "OVERLOADED", "the gateway has more requests than it can handle")
	}
	if p := e.g.tooLarge(e.r); p != nil {
		return p
	}
	return ambiguous(e.r)
}

// serveHTTP is everything but gRPC.
func (e *exchange) serveHTTP() {
	t := e.g.table.Load()
	e.corsAllowed = e.g.cors(e.w.Header(), e.r)
	if e.r.URL.Path == "/openapi.json" {
		e.serveDocument(t.openapi())
		return
	}
	e.found = t.find(e.r)
	switch {
	case e.found.route == nil && len(e.found.allowed) > 0 && e.r.Method == http.MethodOptions:
		e.options(e.found.allowed)
	case e.found.route == nil && len(e.found.allowed) > 0:
		e.notAllowed(e.found.allowed)
	case e.found.route == nil:
		e.noRoute(t)
	case e.found.route.endpoint == nil:
		e.span.SetName(e.found.route.span)
		e.g.proxy.serve(e)
	default:
		e.endpoint = e.found.route.endpoint
		e.span.SetName(e.found.route.span)
		e.serveREST()
	}
}

// noRoute answers for a path that no route matches.
func (e *exchange) noRoute(t *table) {
	if t.methods[e.r.URL.Path] != nil { // a method of gRPC; browsers ask before they use gRPC-Web
		if e.r.Method == http.MethodOptions {
			e.options([]string{http.MethodPost})
			return
		}
		e.fail(transcode.NewProblem(http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", "this is a method for clients of gRPC and gRPC-Web"))
		return
	}
	if missing := e.g.catalogue.missing(e.g.opts.Expected); len(missing) > 0 {
		p := transcode.NewProblem(http.StatusServiceUnavailable, "SERVICE_NOT_STARTED",
			"there is nothing here yet; "+strings.Join(missing, ", ")+" has not started")
		e.fail(p)
		return
	}
	e.fail(transcode.NewProblem(http.StatusNotFound, "NO_ROUTE", "there is nothing here"))
}

// serveREST takes a request for a contract's method on.
func (e *exchange) serveREST() {
	cancel, p := e.enter()
	defer cancel()
	if p != nil {
		e.fail(p)
		return
	}
	if e.endpoint.method.Unary() {
		e.unary()
	} else {
		e.stream()
	}
}

// enter is what every call of a method passes, by REST and by gRPC.
func (e *exchange) enter() (context.CancelFunc, *transcode.Problem) {
	nothing := func() {}
	if p := e.limit(contract.ByClientAddress, nil); p != nil { // far cheaper than a token
		return nothing, p
	}
	if p := e.authenticate(); p != nil {
		return nothing, p
	}
	if p := e.authorize(); p != nil {
		return nothing, p
	}
	if p := e.limit(contract.ByUser, nil); p != nil {
		return nothing, p
	}
	if p := e.metadata(); p != nil {
		return nothing, p
	}
	return e.deadline()
}

// fail answers with a problem, unless the client has left.
func (e *exchange) fail(p *transcode.Problem) {
	// net/http takes a body that came too slowly for a client that left.
	if e.r.Context().Err() != nil && p.Reason != reasonTooSlow {
		e.gone = true
		return
	}
	e.reason = p.Reason
	if p.Status == transcode.StatusClientClosedRequest { // cancelled, but not by this client
		p = transcode.NewProblem(http.StatusServiceUnavailable, "CANCELED", "the call was cancelled")
	}
	p.RequestID, p.TraceID = e.id, telemetry.TraceID(e.ctx)
	switch p.Status {
	case http.StatusServiceUnavailable:
		if p.RetryAfter == 0 {
			p.RetryAfter = e.g.numbers.retry.Get()
		}
	case http.StatusUnauthorized:
		e.w.Header().Set("WWW-Authenticate", "Bearer")
	case http.StatusRequestEntityTooLarge, http.StatusRequestTimeout:
		e.w.Header().Set("Connection", "close") // the rest of the body is not waited for
	}
	if p.Reason == reasonUnreadable {
		e.w.Header().Set("Connection", "close")
	}
	if e.grpc != notGRPC {
		e.failGRPC(p)
		return
	}
	p.Write(e.w)
}

// failCall answers with the error of a call.
func (e *exchange) failCall(err error) {
	if _, ok := errors.AsType[*transcode.BadRequest](err); !ok && e.span.Recording() {
		e.span.SetError(err)
	}
	e.fail(transcode.ProblemOf(err))
}

// finish accounts for the request, whatever became of it.
func (e *exchange) finish() {
	var again any
	if p := recover(); p != nil {
		again = e.panicked(p)
	}
	e.g.inFlight.Add(-1)
	e.g.metrics.active[spanName(e.r.Method)].Dec()
	took := time.Since(e.start)
	status := e.w.status
	switch {
	case status == 0 && (e.gone || e.r.Context().Err() != nil):
		// Whoever has only closed his side must not take silence for success.
		status = transcode.StatusClientClosedRequest
		e.w.WriteHeader(status)
	case e.gone:
		status = transcode.StatusClientClosedRequest
	case status == 0:
		status = http.StatusOK
	}
	e.routeMetrics().observe(status, e.counted(status, took))
	if status >= 500 {
		e.span.SetError(fmt.Errorf("answered %d %s", status, e.reason))
	}
	if e.span.Recording() {
		e.span.SetAttr(attribute.Int("http.response.status_code", status), attribute.String("url.path", short(e.r.URL.Path)),
			attribute.String("http.request.method", spanName(e.r.Method)), attribute.String("http.route", e.pattern()),
			attribute.String("url.scheme", scheme(e.r)), attribute.String("warren.request.id", e.id))
		e.span.End()
	}
	e.log(status, took)
	if e.r.ProtoMajor == 1 && e.r.Body != nil && e.r.Body != http.NoBody && status != http.StatusSwitchingProtocols {
		// net/http reads what is left of the body before it sends the answer.
		_ = e.w.control.SetReadDeadline(time.Now().Add(e.g.numbers.bodyTimeout.Get()))
	}
	if again != nil {
		panic(again)
	}
}

// counted is how long the request counts as: one whose answer goes on for as long as
// somebody listens, until that began.
func (e *exchange) counted(status int, took time.Duration) time.Duration {
	lasts := requests.Stream(status, e.w.Header()) || e.grpc != notGRPC && e.endpoint != nil && e.endpoint.method.ServerStreams
	if lasts && !e.w.began.IsZero() {
		return e.w.began.Sub(e.start)
	}
	return took
}

// panicked answers 500 for a panic in the gateway itself. It returns what to
// go on panicking with where the answer has begun: only ending the connection
// tells the client.
func (e *exchange) panicked(p any) (again any) {
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) { // the proxy's way to say that one side left
		return p
	}
	e.g.logger.ErrorContext(e.ctx, "panic", "panic", p, "request_id", e.id, "stack", string(debug.Stack()))
	if e.w.status != 0 {
		return http.ErrAbortHandler
	}
	e.fail(transcode.NewProblem(http.StatusInternalServerError, "INTERNAL", "an internal error happened; it was logged under the request's id"))
	return nil
}

func (e *exchange) pattern() string {
	switch {
	case e.found.route != nil:
		return e.found.route.pattern
	case e.endpoint != nil:
		return e.endpoint.method.FullName
	}
	return ""
}

func (e *exchange) routeMetrics() *routeMetrics {
	switch {
	case e.found.route != nil:
		return e.found.route.metrics
	case e.endpoint != nil:
		return e.endpoint.metrics
	}
	return e.g.metrics.unrouted
}

func (e *exchange) log(status int, took time.Duration) {
	if e.g.access == nil {
		return
	}
	line := accessLine{
		time: e.start, method: short(e.r.Method), path: short(e.r.URL.Path), route: e.pattern(), status: status, sent: e.w.sent,
		duration: took, client: e.address, protocol: e.r.Proto, requestID: e.id, trace: telemetry.TraceID(e.ctx),
		user: e.caller.Subject, agent: short(e.r.UserAgent()), reason: e.reason,
	}
	if e.endpoint != nil {
		line.target = e.endpoint.method.FullName
	} else if e.found.route != nil {
		line.target = e.found.route.service
	}
	e.g.access.add(line)
}

// authenticate finds out who calls. A token that is there must be right, also
// where none is needed: its owner is mistaken about who he is.
func (e *exchange) authenticate() *transcode.Problem {
	value := e.r.Header.Get("Authorization")
	if value == "" || e.g.verifier == nil {
		return nil
	}
	scheme, token, ok := strings.Cut(value, " ")
	if !ok || token == "" || !strings.EqualFold(scheme, "Bearer") {
		return transcode.NewProblem(http.StatusUnauthorized, "UNAUTHENTICATED", "the authorization is not a bearer token")
	}
	caller, err := e.g.verifier.Verify(e.ctx, token)
	switch {
	case err == nil:
		e.caller = caller
		e.ctx = auth.NewContext(e.ctx, caller)
		return nil
	case errors.Is(err, auth.ErrKeysUnavailable) && auth.Allow(auth.Caller{}, e.endpoint.method) == nil:
		return nil // what is open to everybody stays open without keys
	case errors.Is(err, auth.ErrKeysUnavailable):
		return transcode.NewProblem(http.StatusServiceUnavailable, "KEYS_UNAVAILABLE", "tokens cannot be judged at the moment")
	}
	e.g.logger.LogAttrs(e.ctx, slog.LevelDebug, "a token was refused", slog.Any("error", err))
	return transcode.NewProblem(http.StatusUnauthorized, "UNAUTHENTICATED", "the bearer token is not valid")
}

func (e *exchange) authorize() *transcode.Problem {
	err := auth.Allow(e.caller, e.endpoint.method)
	if err == nil {
		return nil
	}
	if denied, ok := errors.AsType[*auth.Denied](err); ok && denied.Unauthenticated {
		return transcode.NewProblem(http.StatusUnauthorized, "UNAUTHENTICATED", "this "+denied.Reason)
	}
	return transcode.NewProblem(http.StatusForbidden, "PERMISSION_DENIED", "this "+err.Error())
}

// metadataNames are those that the gateway itself sends to services.
var metadataNames = map[string]bool{
	rpc.MetadataIdempotencyKey: true, rpc.MetadataRequestID: true, rpc.MetadataAuthorization: true,
	rpc.MetadataAttempt: true, rpc.MetadataService: true, rpc.MetadataClientAddress: true, rpc.MetadataKey: true,
}
