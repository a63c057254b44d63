package gateway

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gowarren/warren/internal/requests"
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
		unseen:   reg == nil,
		duration: requests.NewDuration(),
		active:   map[string]prometheus.Gauge{},
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "warren_gateway_access_log_dropped_total",
			Help: "Lines of the access log that were dropped because writing them was too slow.",
		}),
		limited: prometheus.NewCounter(prometheus.CounterOpts{Name: "warren_gateway_rate_limited_total", Help: "Requests refused by a rate limit."}),
	}
	m.unrouted = m.route("_OTHER", "")
	active := requests.NewActive()
	for _, method := range requests.Methods() {
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
