package gateway

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are those of the edge. A route's observers are bound once: looking
// labels up costs more than counting.
type metrics struct {
	unseen   bool
	duration *prometheus.HistogramVec
	active   map[string]prometheus.Gauge // by method
	dropped  prometheus.Counter
	limited  prometheus.Counter
	unrouted *routeMetrics
}

func newMetrics(reg prometheus.Registerer, routes func() float64) (*metrics, error) {
	m := &metrics{
		unseen: reg == nil,
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "http_server_request_duration_seconds",
			Help:    "How long requests took, by the route's template.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"http_request_method", "http_route", "http_response_status_code", "error_type"}),
		active: map[string]prometheus.Gauge{},
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "warren_gateway_access_log_dropped_total",
			Help: "Lines of the access log that were dropped because writing them was too slow.",
		}),
		limited: prometheus.NewCounter(prometheus.CounterOpts{Name: "warren_gateway_rate_limited_total", Help: "Requests refused by a rate limit."}),
	}
	m.unrouted = m.route("_OTHER", "")
	active := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "http_server_active_requests", Help: "Requests being handled."}, []string{"http_request_method"})
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "_OTHER"} {
		m.active[method] = active.WithLabelValues(method)
	}
	if reg == nil {
		return m, nil
	}
	known := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "warren_gateway_routes", Help: "Routes known."}, routes)
	for _, c := range []prometheus.Collector{m.duration, active, m.dropped, m.limited, known} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of the gateway: %w", err)
		}
	}
	return m, nil
}

// routeMetrics are the observers of one route, by status.
type routeMetrics struct {
	unseen          bool // nobody can read them
	vec             *prometheus.HistogramVec
	method, pattern string
	ok              cell[prometheus.Observer] // of status 200, what most answers are
	others          sync.Map                  // status → prometheus.Observer
}

func (m *metrics) route(method, pattern string) *routeMetrics {
	return &routeMetrics{unseen: m.unseen, vec: m.duration, method: method, pattern: pattern}
}

func (r *routeMetrics) observe(status int, d time.Duration) {
	if r.unseen {
		return
	}
	if o := r.ok.Load(); o != nil && status == http.StatusOK {
		(*o).Observe(d.Seconds())
		return
	}
	if o, ok := r.others.Load(status); ok {
		o.(prometheus.Observer).Observe(d.Seconds())
		return
	}
	code, wrong := strconv.Itoa(status), ""
	if status >= 500 {
		wrong = code
	}
	o := r.vec.WithLabelValues(r.method, r.pattern, code, wrong)
	if status == http.StatusOK {
		r.ok.Store(&o)
	} else {
		r.others.Store(status, o)
	}
	o.Observe(d.Seconds())
}
