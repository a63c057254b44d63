package warren

import (
	"errors"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gowarren/warren/internal/requests"
)

// httpMetrics are those of plain HTTP, under the names that the gateway's have.
type httpMetrics struct {
	duration *prometheus.HistogramVec
	panics   *prometheus.CounterVec
	active   map[string]prometheus.Gauge // by method
	routes   map[string]*httpRoute       // by the pattern that they were registered with
	unrouted *httpRoute
}

func newHTTPMetrics(to prometheus.Registerer) *httpMetrics {
	m := &httpMetrics{
		duration: registered(to, requests.NewDuration()),
		panics:   registered(to, requests.NewPanics()),
		active:   map[string]prometheus.Gauge{},
		routes:   map[string]*httpRoute{},
	}
	active := registered(to, requests.NewActive())
	for _, method := range requests.Methods() {
		m.active[method] = active.WithLabelValues(method)
	}
	m.unrouted = m.newRoute("")
	return m
}

// registered registers the collector, or returns the one that is there already.
func registered[C prometheus.Collector](to prometheus.Registerer, c C) C {
	if known, ok := errors.AsType[prometheus.AlreadyRegisteredError](to.Register(c)); ok {
		if existing, ok := known.ExistingCollector.(C); ok {
			return existing
		}
	}
	return c
}

// httpRoute is what is known of a route in advance. It is found by what was
// registered: the pattern that a request has been given may be the client's path
// (CONNECT), or that of a ServeMux within the handler.
type httpRoute struct {
	path     string            // the template, as the gateway knows it; "" where no route matches
	spans    map[string]string // what spans are called, by method
	duration *prometheus.HistogramVec
	panics   prometheus.Counter // which begins with 0: the first one counts

	mu   sync.Mutex
	seen atomic.Pointer[map[httpOutcome]prometheus.Observer] // what has happened so far: most never does
}

// httpOutcome is how a request ended.
type httpOutcome struct {
	method string
	status int
}

func (m *httpMetrics) newRoute(path string) *httpRoute {
	r := &httpRoute{path: path, spans: map[string]string{}, duration: m.duration, panics: m.panics.WithLabelValues(path)}
	for _, method := range requests.Methods() {
		r.spans[method] = method
		if path != "" {
			r.spans[method] += " " + path
		}
	}
	r.seen.Store(&map[httpOutcome]prometheus.Observer{})
	return r
}

// find returns the route of a request that no handler of a route has seen: a
// redirection to one, or nothing's.
func (m *httpMetrics) find(pattern string) *httpRoute {
	if r := m.routes[pattern]; r != nil {
		return r
	}
	return m.unrouted
}

func (r *httpRoute) observe(method string, status int, took time.Duration) {
	end := httpOutcome{method, status}
	o := (*r.seen.Load())[end]
	if o == nil {
		o = r.bind(end)
	}
	o.Observe(took.Seconds())
}

// bind looks the labels up once: that costs more than counting.
func (r *httpRoute) bind(end httpOutcome) prometheus.Observer { //nolint:ireturn // as the client library gives it
	r.mu.Lock()
	defer r.mu.Unlock()
	code, wrong := strconv.Itoa(end.status), ""
	if end.status >= http.StatusInternalServerError {
		wrong = code
	}
	o := r.duration.WithLabelValues(end.method, r.path, code, wrong)
	seen := maps.Clone(*r.seen.Load())
	seen[end] = o
	r.seen.Store(&seen)
	return o
}
