package telemetry

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

const (
	queueSize     = 4096
	batchSize     = 512
	batchDelay    = time.Second
	exportTimeout = 10 * time.Second
)

// batcher collects ended spans and exports them in the background. The SDK's
// own processor hides how many spans it dropped and reports errors through a
// global; this one counts each loss and logs an outage once.
type batcher struct {
	exporter sdktrace.SpanExporter
	logger   *slog.Logger

	queue   chan sdktrace.ReadOnlySpan
	flush   chan chan struct{}
	stop    chan struct{} // closed by Shutdown
	done    chan struct{} // closed when the last batch has gone
	stopped atomic.Bool
	once    sync.Once
	ctx     context.Context // ends exports when Shutdown runs out of time
	cancel  context.CancelFunc

	exported             prometheus.Counter
	droppedFull, dropped prometheus.Counter
	away                 bool // the last export went wrong; only run touches it
}

func newBatcher(exporter sdktrace.SpanExporter, metrics prometheus.Registerer, logger *slog.Logger) (*batcher, error) {
	exported := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "warren_traces_exported_spans_total", Help: "Spans that the collector took.",
	})
	lost := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "warren_traces_dropped_spans_total", Help: "Spans lost because the queue was full or the collector away.",
	}, []string{"reason"})
	b := &batcher{
		exporter: exporter, logger: logger,
		queue: make(chan sdktrace.ReadOnlySpan, queueSize),
		flush: make(chan chan struct{}),
		stop:  make(chan struct{}), done: make(chan struct{}),
		exported: exported, droppedFull: lost.WithLabelValues("queue_full"), dropped: lost.WithLabelValues("export"),
	}
	queued := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "warren_traces_queued_spans", Help: "Spans waiting to be exported.",
	}, func() float64 { return float64(len(b.queue)) })
	if err := register(metrics, exported, lost, queued); err != nil {
		return nil, err
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	go b.run()
	return b, nil
}

// OnStart implements sdktrace.SpanProcessor.
func (b *batcher) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd queues the span, or drops it: a request never waits for a collector.
func (b *batcher) OnEnd(span sdktrace.ReadOnlySpan) {
	if b.stopped.Load() {
		b.droppedFull.Inc()
		return
	}
	select {
	case b.queue <- span:
	default:
		b.droppedFull.Inc()
	}
}

// ForceFlush exports what is queued.
func (b *batcher) ForceFlush(ctx context.Context) error {
	flushed := make(chan struct{})
	select {
	case b.flush <- flushed:
	case <-b.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-flushed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Shutdown exports what is queued for as long as ctx allows, and ends the exporter.
func (b *batcher) Shutdown(ctx context.Context) error {
	b.once.Do(func() {
		b.stopped.Store(true)
		close(b.stop)
	})
	defer b.cancel()
	select {
	case <-b.done:
	case <-ctx.Done():
		b.cancel()
		<-b.done
	}
	return b.exporter.Shutdown(ctx)
}

// run gathers spans until the batch is full, old enough, or asked for.
func (b *batcher) run() {
	defer close(b.done)
	batch := make([]sdktrace.ReadOnlySpan, 0, batchSize)
	timer := time.NewTimer(batchDelay)
	defer timer.Stop()
	for {
		select {
		case span := <-b.queue:
			if batch = append(batch, span); len(batch) < batchSize {
				continue
			}
			batch = b.export(batch)
		case <-timer.C:
			batch = b.export(batch)
			timer.Reset(batchDelay)
		case flushed := <-b.flush:
			batch = b.drain(batch)
			close(flushed)
		case <-b.stop:
			b.drain(batch)
			return
		}
	}
}

// drain exports all that is queued by now.
func (b *batcher) drain(batch []sdktrace.ReadOnlySpan) []sdktrace.ReadOnlySpan {
	for {
		select {
		case span := <-b.queue:
			if batch = append(batch, span); len(batch) == batchSize {
				batch = b.export(batch)
			}
		default:
			return b.export(batch)
		}
	}
}

// export sends one batch and returns the emptied slice.
func (b *batcher) export(batch []sdktrace.ReadOnlySpan) []sdktrace.ReadOnlySpan {
	if len(batch) == 0 {
		return batch
	}
	ctx, cancel := context.WithTimeout(b.ctx, exportTimeout)
	defer cancel()
	if err := b.exporter.ExportSpans(ctx, batch); err != nil {
		b.dropped.Add(float64(len(batch)))
		if !b.away {
			b.away = true
			b.logger.Warn("trace collector is away; its spans are dropped and counted", "error", err)
		}
	} else {
		b.exported.Add(float64(len(batch)))
		if b.away {
			b.away = false
			b.logger.Info("trace collector is back")
		}
	}
	clear(batch) // spans may be large: don't hold them until the next batch
	return batch[:0]
}
