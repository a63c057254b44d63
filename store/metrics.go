package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// maxTables bounds the label of the table; a program that makes up table names
// gets the rest under one name.
const maxTables = 200

// metrics are the figures of one database, under the names that OpenTelemetry's
// semantic conventions have when written for Prometheus.
type metrics struct {
	registerer prometheus.Registerer // nil: nobody reads them
	pool       prometheus.Collector
	duration   *prometheus.HistogramVec
	repeats    *prometheus.CounterVec
	system     string
	name       string
	mu         sync.Mutex
	tables     map[string]bool
}

var durationBuckets = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

func newMetrics(db *DB) (*metrics, error) {
	m := &metrics{
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "db_client_operation_duration_seconds", Buckets: durationBuckets,
			Help: "Duration of database queries, until their last row is read.",
		}, []string{"db_system_name", "db_namespace", "db_operation_name", "db_collection_name", "error_type"}),
		repeats: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "warren_store_repeats_total",
			Help: "Transactions and statements run again, by why.",
		}, []string{"db_namespace", "reason"}),
		system: systemNames[db.engine.dialect],
		name:   db.name,
		tables: map[string]bool{},
	}
	if db.opts.Metrics == nil {
		return m, nil
	}
	var err error
	if m.duration, err = register(db.opts.Metrics, m.duration); err != nil {
		return nil, err
	}
	if m.repeats, err = register(db.opts.Metrics, m.repeats); err != nil {
		return nil, err
	}
	m.pool = newPoolCollector(db)
	if err := db.opts.Metrics.Register(m.pool); err != nil {
		if _, taken := errors.AsType[prometheus.AlreadyRegisteredError](err); taken {
			return nil, fmt.Errorf("another open database has the name %q; set Options.Name", db.name)
		}
		return nil, err
	}
	m.registerer = db.opts.Metrics
	return m, nil
}

var systemNames = map[Dialect]string{SQLite: "sqlite", PostgreSQL: "postgresql", MySQL: "mysql"}

// register adds c, or finds the one that another database of the process added.
func register[C prometheus.Collector](to prometheus.Registerer, c C) (C, error) {
	err := to.Register(c)
	if taken, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if there, ok := taken.ExistingCollector.(C); ok {
			return there, nil
		}
	}
	return c, err
}

func (m *metrics) unregister() {
	if m.registerer != nil {
		m.registerer.Unregister(m.pool)
	}
}

func (m *metrics) repeated(f fault) {
	m.repeats.WithLabelValues(m.name, f.String()).Inc()
}

// timing observes one kind of statement; the common case is bound to its labels.
type timing struct {
	labels []string
	vec    *prometheus.HistogramVec
	ok     prometheus.Observer
}

func (m *metrics) timing(op, table string) *timing {
	labels := []string{m.system, m.name, m.boundOp(op), m.boundTable(table)}
	return &timing{labels: labels, vec: m.duration, ok: m.duration.WithLabelValues(append(labels, "")...)}
}

func (t *timing) observe(took time.Duration, errorType string) {
	if errorType == "" {
		t.ok.Observe(took.Seconds())
		return
	}
	t.vec.WithLabelValues(append(t.labels[:4:4], errorType)...).Observe(took.Seconds())
}

func (m *metrics) boundOp(op string) string {
	switch op {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "PRAGMA":
		return op
	default:
		return "_OTHER"
	}
}

func (m *metrics) boundTable(table string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.tables[table] {
		if len(m.tables) >= maxTables {
			return "_OTHER"
		}
		m.tables[table] = true
	}
	return table
}

// errorType is the bounded value of the label error_type.
func (db *DB) errorType(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	default:
		return db.faultOf(err).String()
	}
}

// String is the fault as a label.
func (f fault) String() string {
	switch f {
	case faultConflict:
		return "conflict"
	case faultReference:
		return "reference"
	case faultContention:
		return "contention"
	case faultBusy:
		return "busy"
	case faultLost:
		return "connection_lost"
	case faultAway:
		return "unavailable"
	default:
		return "other"
	}
}
