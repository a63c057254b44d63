package archive

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// meters count what the archive does.
type meters struct {
	received       *prometheus.CounterVec
	dropped        *prometheus.CounterVec
	redactedValues prometheus.Counter
	failed         prometheus.Counter
	broken         prometheus.Counter
	writes         prometheus.Histogram
	graph          *graph

	redacted atomic.Int64

	mu    sync.Mutex
	drops map[string]Dropped
}

// Dropped is what was not kept for one reason.
type Dropped struct{ Spans, Lines int64 }

func newMeters(a *Archive, to prometheus.Registerer) (*meters, error) {
	m := &meters{
		received: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "warren_signals_received_total", Help: "Spans and log lines that came to the store.",
		}, []string{"signal"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "warren_signals_dropped_total", Help: "Spans and log lines that are not kept, by reason.",
		}, []string{"signal", "reason"}),
		redactedValues: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "warren_signals_redacted_total", Help: "Secrets and card numbers taken out of traces and logs.",
		}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "warren_signals_write_failures_total", Help: "Batches of traces and logs that the disk did not take.",
		}),
		broken: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "warren_signals_broken_files_total", Help: "Damaged files of traces and logs that were moved aside.",
		}),
		writes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "warren_signals_write_duration_seconds", Help: "How long writing a batch of traces and logs takes.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}),
		graph: newGraph(), drops: map[string]Dropped{},
	}
	if to == nil {
		return m, nil
	}
	queued := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "warren_signals_queue_bytes", Help: "Traces and logs that wait to be written.",
	}, func() float64 { return float64(a.queue.size()) })
	size := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "warren_signals_store_bytes", Help: "What traces and logs take on disk.",
	}, func() float64 { return float64(a.bytes()) })
	for _, c := range []prometheus.Collector{m.received, m.dropped, m.redactedValues, m.failed, m.broken, m.writes, m.graph, queued, size} {
		if err := to.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// drop counts what is not kept.
func (a *Archive) drop(reason string, spans, lines int64) {
	if spans == 0 && lines == 0 {
		return
	}
	a.meters.dropped.WithLabelValues("spans", reason).Add(float64(spans))
	a.meters.dropped.WithLabelValues("lines", reason).Add(float64(lines))
	a.meters.mu.Lock()
	defer a.meters.mu.Unlock()
	d := a.meters.drops[reason]
	d.Spans += spans
	d.Lines += lines
	a.meters.drops[reason] = d
}
