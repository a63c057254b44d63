package telemetry

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// collector is an exporter that a test can make slow or send away.
type collector struct {
	mu      sync.Mutex
	err     error
	hang    bool
	spans   int
	batches []int
}

func (c *collector) set(err error, hang bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err, c.hang = err, hang
}

func (c *collector) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	c.mu.Lock()
	hang, err := c.hang, c.err
	if !hang && err == nil {
		c.spans += len(spans)
		c.batches = append(c.batches, len(spans))
	}
	c.mu.Unlock()
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}

func (c *collector) Shutdown(context.Context) error { return nil }

type batcherTest struct {
	*batcher
	collector *collector
	metrics   *prometheus.Registry
	log       *bytes.Buffer
}

func newBatcherTest(t *testing.T) *batcherTest {
	t.Helper()
	test := &batcherTest{collector: &collector{}, metrics: prometheus.NewRegistry(), log: new(bytes.Buffer)}
	var err error
	test.batcher, err = newBatcher(test.collector, test.metrics, slog.New(slog.NewTextHandler(test.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return test
}

func (b *batcherTest) end(n int) {
	span := tracetest.SpanStub{Name: "x"}.Snapshot()
	for range n {
		b.OnEnd(span)
	}
}

func (b *batcherTest) counts(t *testing.T, exported, full, lost float64) {
	t.Helper()
	got := [3]float64{testutil.ToFloat64(b.exported), testutil.ToFloat64(b.droppedFull), testutil.ToFloat64(b.dropped)}
	if want := [3]float64{exported, full, lost}; got != want {
		t.Errorf("exported, dropped for room, dropped by export: %v, want %v", got, want)
	}
}

func TestBatchLeavesWhenFullOrOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBatcherTest(t)
		b.end(batchSize + 3)
		synctest.Wait()
		b.counts(t, batchSize, 0, 0)
		<-time.After(batchDelay)
		synctest.Wait()
		b.counts(t, batchSize+3, 0, 0)
		if err := b.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestSlowCollectorBlocksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBatcherTest(t)
		b.collector.set(nil, true)
		b.end(batchSize)
		synctest.Wait() // the exporter hangs
		start := time.Now()
		b.end(queueSize + 100)
		if took := time.Since(start); took != 0 {
			t.Errorf("ending spans took %s", took)
		}
		b.counts(t, 0, 100, 0)
		b.collector.set(nil, false)
		<-time.After(exportTimeout + batchDelay) // the last batch may be a part
		synctest.Wait()
		b.counts(t, queueSize, 100, batchSize)
		if err := b.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestOutageIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBatcherTest(t)
		b.collector.set(errors.New("connection refused"), false)
		for range 5 {
			b.end(1)
			<-time.After(batchDelay)
		}
		synctest.Wait()
		b.counts(t, 0, 0, 5)
		b.collector.set(nil, false)
		for range 5 {
			b.end(1)
			<-time.After(batchDelay)
		}
		synctest.Wait()
		b.counts(t, 5, 0, 5)
		if err := b.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		away, back := strings.Count(b.log.String(), "collector is away"), strings.Count(b.log.String(), "collector is back")
		if away != 1 || back != 1 {
			t.Errorf("logged %d and %d times:\n%s", away, back, b.log)
		}
	})
}

func TestShutdownExportsWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBatcherTest(t)
		b.end(3*batchSize + 1)
		if err := b.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		b.counts(t, 3*batchSize+1, 0, 0)
		b.end(1) // too late
		b.counts(t, 3*batchSize+1, 1, 0)
		if err := errors.Join(b.Shutdown(t.Context()), b.ForceFlush(t.Context())); err != nil {
			t.Error(err)
		}
	})
}

func TestShutdownEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBatcherTest(t)
		b.collector.set(nil, true)
		b.end(10)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := b.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("shutdown took %s of one second", took)
		}
		b.counts(t, 0, 0, 10)
	})
}

func TestFlushEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBatcherTest(t)
		b.collector.set(nil, true)
		b.end(10)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.ForceFlush(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("flush: %v", err)
		}
		b.collector.set(nil, false)
		if err := b.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
