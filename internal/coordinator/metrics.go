package coordinator

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
)

type metrics struct {
	began       *prometheus.CounterVec
	ended       *prometheus.HistogramVec
	calls       *prometheus.HistogramVec
	parkings    *prometheus.CounterVec
	active      prometheus.Gauge
	parked      prometheus.Gauge
	orphans     prometheus.Gauge
	batches     prometheus.Histogram
	commits     prometheus.Histogram
	storeErrors prometheus.Counter
	takeovers   prometheus.Counter
	fenced      prometheus.Counter
	actions     *prometheus.CounterVec
}

func newMetrics(to prometheus.Registerer) (*metrics, error) {
	seconds := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800}
	m := &metrics{
		began: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "warren_txn_begun_total",
			Help: "Transactions taken on."}, []string{"name", "pattern"}),
		ended: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "warren_txn_duration_seconds", Buckets: seconds,
			Help: "Time from the beginning of a transaction to its end."}, []string{"name", "pattern", "outcome"}),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "warren_txn_call_duration_seconds", Buckets: seconds,
			Help: "Duration of the calls of branches."}, []string{"method", "op", "outcome"}),
		parkings: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "warren_txn_parked_total",
			Help: "Times that a transaction was parked."}, []string{"name"}),
		active: prometheus.NewGauge(prometheus.GaugeOpts{Name: "warren_txn_active", Help: "Transactions that this coordinator works on."}),
		parked: prometheus.NewGauge(prometheus.GaugeOpts{Name: "warren_txn_parked", Help: "Transactions that wait for an operator."}),
		orphans: prometheus.NewGauge(prometheus.GaugeOpts{Name: "warren_txn_orphans",
			Help: "Prepared parts of two-phase commits that no transaction is going to decide."}),
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "warren_txn_commit_writes", Buckets: prometheus.ExponentialBuckets(1, 2, 12),
			Help: "Steps of transactions in one commit."}),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "warren_txn_commit_duration_seconds", Buckets: seconds,
			Help: "Duration of the commits."}),
		storeErrors: prometheus.NewCounter(prometheus.CounterOpts{Name: "warren_txn_store_errors_total", Help: "Commits that went wrong."}),
		takeovers:   prometheus.NewCounter(prometheus.CounterOpts{Name: "warren_txn_takeovers_total", Help: "Transactions taken over from others."}),
		fenced:      prometheus.NewCounter(prometheus.CounterOpts{Name: "warren_txn_fenced_total", Help: "Transactions lost to others."}),
		actions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "warren_txn_operator_actions_total",
			Help: "What operators did."}, []string{"action"}),
	}
	for _, c := range []prometheus.Collector{
		m.began, m.ended, m.calls, m.parkings, m.active, m.parked, m.orphans, m.batches, m.commits, m.storeErrors, m.takeovers, m.fenced, m.actions,
	} {
		if err := to.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// watchAge has the age of the oldest transaction in work read when it is asked for.
func (e *Engine) watchAge(to prometheus.Registerer) error {
	return to.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "warren_txn_oldest_seconds",
		Help: "Age of the oldest transaction that this coordinator works on; 0: none."}, func() float64 {
		e.mu.Lock()
		defer e.mu.Unlock()
		now := e.now()
		first := now
		for _, t := range e.running {
			first = min(first, t.row.created)
		}
		return float64(now-first) / 1e6
	}))
}

func (m *metrics) commit(began time.Time, writes int) {
	m.batches.Observe(float64(writes))
	m.commits.Observe(time.Since(began).Seconds())
}

func patternName(p txnv1.Pattern) string {
	switch p {
	case txnv1.Pattern_PATTERN_SAGA:
		return "saga"
	case txnv1.Pattern_PATTERN_TCC:
		return "tcc"
	default:
		return "two-phase"
	}
}
