package events

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics have the names of OpenTelemetry's messaging conventions where those
// have one, as they are written for Prometheus.
type metrics struct {
	system     string
	sent       *prometheus.CounterVec
	sending    *prometheus.HistogramVec
	consumed   *prometheus.CounterVec
	processing *prometheus.HistogramVec

	pending     prometheus.Gauge
	age         prometheus.Gauge
	lag         *prometheus.GaugeVec
	retries     *prometheus.GaugeVec
	letters     *prometheus.GaugeVec
	duplicates  *prometheus.CounterVec
	republished prometheus.Counter
	outages     *prometheus.CounterVec
	raised      prometheus.Gauge
}

var buckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

func newMetrics(to prometheus.Registerer, system string) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return register(to, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels))
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return register(to, prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels))
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return register(to, prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels))
	}
	return &metrics{
		system: system,
		sent: counter("messaging_client_sent_messages_total", "Events that the broker accepted, or refused.",
			"messaging_system", "messaging_destination_name", "error_type"),
		sending: histogram("messaging_client_operation_duration_seconds", "Duration of publishing a batch of events.",
			"messaging_system", "messaging_operation_name", "error_type"),
		consumed: counter("messaging_client_consumed_messages_total", "Events that arrived, repetitions included.",
			"messaging_system", "messaging_destination_name", "messaging_consumer_group_name"),
		processing: histogram("messaging_process_duration_seconds", "Duration of handling an event, its transaction included.",
			"messaging_system", "messaging_destination_name", "messaging_consumer_group_name", "outcome"),
		pending: gauge("warren_outbox_pending", "Events that wait for the broker.").WithLabelValues(),
		age:     gauge("warren_outbox_age_seconds", "Age of the oldest event that waits for the broker.").WithLabelValues(),
		lag: gauge("warren_events_lag", "Events at the broker that a group has not handled.",
			"messaging_destination_name", "messaging_consumer_group_name"),
		retries: gauge("warren_events_retries", "Events that wait to be tried again, or behind one that does.",
			"messaging_destination_name", "messaging_consumer_group_name"),
		letters: gauge("warren_dead_letters", "Dead letters that nobody has settled.",
			"messaging_destination_name", "messaging_consumer_group_name"),
		duplicates: counter("warren_events_duplicates_total", "Repetitions that were dropped.",
			"messaging_destination_name", "messaging_consumer_group_name"),
		republished: counter("warren_outbox_republished_total", "Events sent once more because the broker was started again.").WithLabelValues(),
		outages:     counter("warren_events_outages_total", "Times that a part of events had to wait.", "part"),
		raised:      gauge("warren_events_retention_raised", "1 while a retention is set too short and a longer one holds.").WithLabelValues(),
	}
}

func (m *metrics) published(topic, problem string) {
	m.sent.WithLabelValues(m.system, topic, problem).Inc()
}

func (m *metrics) flushed(began time.Time, problem string) {
	m.sending.WithLabelValues(m.system, "send", problem).Observe(time.Since(began).Seconds())
}

func (m *metrics) handled(s *subscription, began time.Time, outcome string) {
	m.processing.WithLabelValues(m.system, s.topic, s.group, outcome).Observe(time.Since(began).Seconds())
}

// waits shows what waits. No look at a database lies between what was and what is.
func (m *metrics) waits(w backlog) {
	m.pending.Set(float64(w.events))
	m.age.Set(w.age.Seconds())
	for gauge, counts := range map[*prometheus.GaugeVec]map[interest]int{m.retries: w.retries, m.letters: w.letters} {
		gauge.Reset()
		for of, n := range counts {
			gauge.WithLabelValues(of.topic, of.group).Set(float64(n))
		}
	}
}

// register returns the collector that is there already, if one is: two buses of
// one process share their metrics.
func register[C prometheus.Collector](to prometheus.Registerer, c C) C {
	err := to.Register(c)
	if exists, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if there, ok := exists.ExistingCollector.(C); ok {
			return there
		}
	}
	return c
}
