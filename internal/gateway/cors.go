package gateway

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gowarren/warren/internal/transcode"
)

// origins are those whose pages may read answers.
type origins struct {
	all   bool
	exact []string
}

func parseOrigins(text string) origins {
	var o origins
	for part := range strings.SplitSeq(text, ",") {
		switch part = strings.TrimSpace(part); part {
		case "":
		case "*":
			o.all = true
		default:
			o.exact = append(o.exact, strings.ToLower(strings.TrimSuffix(part, "/")))
		}
	}
	return o
}

// allow returns what to answer to an origin, empty to say nothing. "null" is
// what every sandboxed page calls itself: only * includes it.
func (o origins) allow(origin string) string {
	switch {
	case origin == "":
		return ""
	case o.all:
		return "*"
	case slices.Contains(o.exact, strings.ToLower(origin)):
		return origin
	}
	return ""
}

const (
	corsHeaders = "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, X-Request-Id, X-Request-Timeout, " +
		"X-Grpc-Web, X-User-Agent, Grpc-Timeout, Traceparent, Tracestate"
	corsExposed = "ETag, Location, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, " +
		"X-Request-Id, Grpc-Status, Grpc-Message, Grpc-Status-Details-Bin"
)

// cors adds what the page's browser needs to know. It never allows cookies:
// the system knows users by bearer tokens, which no browser sends by itself.
func (g *Gateway) cors(h http.Header, r *http.Request) (allowed bool) {
	o := g.numbers.origins.get()
	if !o.all && len(o.exact) == 0 {
		return false
	}
	if !o.all {
		h.Add("Vary", "Origin")
	}
	allow := o.allow(r.Header.Get("Origin"))
	if allow == "" {
		return false
	}
	h.Set("Access-Control-Allow-Origin", allow)
	h.Set("Access-Control-Expose-Headers", corsExposed)
	return true
}

// options answers OPTIONS: what may be done here, and to a browser's preflight
// what a page may do.
func (e *exchange) options(methods []string) {
	h := e.w.Header()
	allow := strings.Join(withOptions(methods), ", ")
	h.Set("Allow", allow)
	if e.corsAllowed && e.r.Header.Get("Access-Control-Request-Method") != "" {
		h.Set("Access-Control-Allow-Methods", allow)
		h.Set("Access-Control-Allow-Headers", corsHeaders)
		h.Set("Access-Control-Max-Age", strconv.Itoa(int(e.g.numbers.maxAge.Get().Seconds())))
	}
	e.w.WriteHeader(http.StatusNoContent)
}

func (e *exchange) notAllowed(methods []string) {
	e.w.Header().Set("Allow", strings.Join(withOptions(methods), ", "))
	e.fail(transcode.NewProblem(http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED", "this method is not possible here"))
}

func withOptions(methods []string) []string {
	out := slices.Clone(methods)
	if slices.Contains(out, http.MethodGet) && !slices.Contains(out, http.MethodHead) {
		out = append(out, http.MethodHead)
	}
	if !slices.Contains(out, http.MethodOptions) {
		out = append(out, http.MethodOptions)
	}
	slices.Sort(out)
	return out
}
