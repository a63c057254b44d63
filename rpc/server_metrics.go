package rpc

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/rpc/internal/admission"
)

// serverMetrics are the metrics of a server. They exist, unseen, without a
// registerer too.
type serverMetrics struct {
	unseen   bool // nobody can read them
	duration *prometheus.HistogramVec
	panics   *prometheus.CounterVec
	sheds    *prometheus.CounterVec
}

func newServerMetrics(registerer prometheus.Registerer) *serverMetrics {
	return &serverMetrics{
		unseen: registerer == nil,
		duration: registered(registerer, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:        "rpc_server_call_duration_seconds",
			Help:        "How long calls took, by method and status; streams until their first message.",
			Buckets:     []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
			ConstLabels: prometheus.Labels{"rpc_system_name": "grpc"},
		}, []string{"rpc_method", "rpc_response_status_code", "error_type"})),
		panics: registered(registerer, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "warren_rpc_panics_total",
			Help: "How many handlers panicked, by method.",
		}, []string{"rpc_method"})),
		sheds: registered(registerer, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "warren_rpc_shed_total",
			Help: "How many calls were refused because the instance had too much to do, by priority.",
		}, []string{"priority"})),
	}
}

// registered registers the collector, or returns the one that another server
// of the process has registered.
func registered[C prometheus.Collector](registerer prometheus.Registerer, c C) C {
	if registerer == nil {
		return c
	}
	if known, ok := errors.AsType[prometheus.AlreadyRegisteredError](registerer.Register(c)); ok {
		if existing, ok := known.ExistingCollector.(C); ok {
			return existing
		}
	}
	return c
}

// watch adds what is read when somebody looks.
func (*serverMetrics) watch(registerer prometheus.Registerer, s *Server) {
	gauge := func(name, help string, value func() int) {
		registered(registerer, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help},
			func() float64 { return float64(value()) }))
	}
	gauge("warren_rpc_server_in_flight", "How many calls and streams are being handled.", s.InFlight)
	gauge("warren_rpc_server_connections", "How many connections are open.", s.OpenConns)
	gauge("warren_rpc_admission_limit", "How many calls may run at once at present.", s.admission.Limit)
	gauge("warren_rpc_admission_queued", "How many calls wait for their turn.", s.admission.Queued)
}

func (m *serverMetrics) shed(p contract.Priority) { m.sheds.WithLabelValues(p.String()).Inc() }

// bind looks a method's metrics up once and for all.
func (m *serverMetrics) bind(method string) *methodMetrics {
	return &methodMetrics{unseen: m.unseen, method: method, duration: m.duration, panics: m.panics.WithLabelValues(method)}
}

// methodMetrics are one method's; a code is bound when it first happens, as
// most never do.
type methodMetrics struct {
	unseen   bool
	method   string
	duration *prometheus.HistogramVec
	panics   prometheus.Counter
	codes    [codes.Unauthenticated + 1]atomic.Pointer[prometheus.Observer]
}

func (m *methodMetrics) observe(code codes.Code, took time.Duration) {
	if m.unseen {
		return
	}
	if int(code) >= len(m.codes) {
		code = codes.Unknown
	}
	observer := m.codes[code].Load()
	if observer == nil {
		wrong := ""
		if serverFault(code) {
			wrong = codeName(code)
		}
		bound := m.duration.WithLabelValues(m.method, codeName(code), wrong)
		observer = &bound
		m.codes[code].Store(observer)
	}
	(*observer).Observe(took.Seconds())
}

// followAdmission builds the admission control and keeps its numbers current.
func (s *Server) followAdmission() *admission.Controller {
	least := config.Watch(s.opts.Settings, settingAdmissionMin, config.Scope{})
	most := config.Watch(s.opts.Settings, settingAdmissionMax, config.Scope{})
	initial := config.Watch(s.opts.Settings, settingAdmissionInitial, config.Scope{})
	queue := config.Watch(s.opts.Settings, settingAdmissionQueue, config.Scope{})
	wait := config.Watch(s.opts.Settings, settingAdmissionWait, config.Scope{})
	limits := func() admission.Limits {
		return admission.Limits{Min: least.Get(), Max: most.Get(), Initial: initial.Get(), Queue: queue.Get(), Wait: wait.Get()}
	}
	controller := admission.New(limits(), s.metrics.shed)
	for _, v := range []*config.Value[int]{least, most, initial, queue} {
		s.stops = append(s.stops, v.OnChange(func(int) { controller.Set(limits()) }))
	}
	s.stops = append(s.stops, wait.OnChange(func(time.Duration) { controller.Set(limits()) }))
	return controller
}
