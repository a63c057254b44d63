// Package requests says how requests of HTTP are measured where they are served,
// at the gateway and by services of plain HTTP: under the same names, with the
// same labels and buckets, so that one question asks for all of them.
package requests

import (
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// NewDuration returns the histogram of how long requests took. Its labels are
// the method as Method has it, the template of the route or "", the status, and
// the status once more where it is the server's fault.
func NewDuration() *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "http_server_request_duration_seconds",
		Help:    "How long requests took, by the route's template; streams until they began.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"http_request_method", "http_route", "http_response_status_code", "error_type"})
}

// Stream says whether an answer is one that goes on for as long as somebody
// listens: server-sent events, messages by lines, another protocol. How long that
// is says nothing of who serves it, so such a request takes until its answer begins.
func Stream(status int, answer http.Header) bool {
	if status == http.StatusSwitchingProtocols {
		return true
	}
	kind := answer["Content-Type"]
	return len(kind) == 1 && (strings.HasPrefix(kind[0], "text/event-stream") || strings.HasPrefix(kind[0], "application/x-ndjson"))
}

// NewActive returns the gauge of the requests that are being handled, by method.
func NewActive() *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "http_server_active_requests", Help: "Requests being handled."}, []string{"http_request_method"})
}

// NewPanics returns the counter of the handlers that panicked, by route.
func NewPanics() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "warren_http_panics_total", Help: "How many handlers of plain HTTP panicked, by the route's template.",
	}, []string{"http_route"})
}

// other stands for the methods that clients make up.
const other = "_OTHER"

// Methods returns all that Method returns.
func Methods() []string {
	return []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, other,
	}
}

// Method returns the method as labels and spans have it. Clients make up methods.
func Method(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return other
}

// Probe says whether a path is one at which orchestrators and scrapers ask
// whether somebody lives. It would be most of what is seen of a quiet service.
func Probe(path string) bool {
	switch path {
	case "/healthz", "/livez", "/readyz", "/health", "/ready", "/metrics":
		return true
	}
	return false
}
