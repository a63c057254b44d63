package coordinator

import (
	"context"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/store/storetest"
	"github.com/gowarren/warren/telemetry"
)

// The calls of a transaction belong to the trace of whoever submitted it, also
// those that another coordinator makes.
func TestSpansContinueTheSubmittersTrace(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	exporter := tracetest.NewInMemoryExporter()
	tel, err := telemetry.Open(t.Context(), telemetry.Options{Service: "coordinator", Exporter: exporter, Sample: func() float64 { return 1 }, Output: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tel.Close(context.Background()) })
	hold, reached, goOn := holding()
	w.people.on("b", hold)
	first := w.start(Options{Node: "first", Tracer: tel.Tracer()}, entry("txn.call_timeout", "1m"))
	ctx, span := tel.Tracer().Start(t.Context(), "checkout of a customer", trace.SpanKindServer)
	if _, err := first.Submit(ctx, &txnv1.SubmitRequest{Saga: chain("g", "a", "b")}); err != nil {
		t.Fatal(err)
	}
	span.End()
	<-reached
	first.kill()
	close(goOn)
	second := w.start(Options{Node: "second", Tracer: tel.Tracer()})
	second.wants("g", txnv1.State_STATE_SUCCEEDED)
	if err := tel.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	calls := map[string]int{}
	for _, s := range exporter.GetSpans() {
		if !strings.HasPrefix(s.Name, "test ") {
			continue
		}
		calls[s.Name]++
		if got, want := s.SpanContext.TraceID().String(), telemetry.TraceID(ctx); got != want {
			t.Errorf("%s belongs to trace %s; want %s", s.Name, got, want)
		}
		attributes := map[string]string{}
		for _, a := range s.Attributes {
			attributes[string(a.Key)] = a.Value.String()
		}
		if attributes["warren.txn.gid"] != "g" || attributes["warren.txn.op"] != "action" || attributes["warren.txn.attempt"] != "1" {
			t.Errorf("%s says %v", s.Name, attributes)
		}
	}
	if calls["test a"] != 1 || calls["test b"] != 2 {
		t.Errorf("spans are %v", calls)
	}
}

func TestMetricsTellWhatHappens(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	registry := prometheus.NewRegistry()
	n := w.start(Options{Metrics: registry}, entry("txn.failures", "1"))
	var hold atomic.Bool
	hold.Store(true)
	w.people.on("b", func(context.Context, *txnv1.Branch, []byte) ([]byte, error) {
		if hold.Load() {
			return nil, failure("no")
		}
		return nil, nil
	})
	n.submit(chain("succeeds", "a"))
	n.wants("succeeds", txnv1.State_STATE_SUCCEEDED)
	n.submit(chain("fails", "a", "b"))
	n.wants("fails", txnv1.State_STATE_FAILED)
	stuck := chain("stuck", "a", "b")
	stuck.Steps[0].Pivot = true
	n.submit(stuck)
	n.parked("stuck")
	m := n.engine.metrics
	w.until("the parked one to be counted", func() bool { return testutil.ToFloat64(m.parked) == 1 })
	hold.Store(false)
	if _, err := n.ops.Retry(cli(t.Context()), &txnv1.RetryRequest{Gid: "stuck", By: by}); err != nil {
		t.Fatal(err)
	}
	n.wants("stuck", txnv1.State_STATE_SUCCEEDED)
	w.until("all to be forgotten", func() bool { return testutil.ToFloat64(m.active) == 0 && testutil.ToFloat64(m.parked) == 0 })
	for name, got := range map[string][2]float64{
		"begun":     {testutil.ToFloat64(m.began.WithLabelValues("test", "saga")), 3},
		"parked":    {testutil.ToFloat64(m.parkings.WithLabelValues("test")), 1},
		"actions":   {testutil.ToFloat64(m.actions.WithLabelValues("retry")), 1},
		"succeeded": {count(t, registry, "warren_txn_duration_seconds", "succeeded"), 2},
		"failed":    {count(t, registry, "warren_txn_duration_seconds", "failed"), 1},
		"done":      {count(t, registry, "warren_txn_call_duration_seconds", "action ok"), 4},
		"refused":   {count(t, registry, "warren_txn_call_duration_seconds", "action failure"), 2},
		"undone":    {count(t, registry, "warren_txn_call_duration_seconds", "compensate ok"), 1},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: %v; want %v", name, got[0], got[1])
		}
	}
	if testutil.CollectAndCount(m.commits) != 1 || count(t, registry, "warren_txn_commit_writes", "") == 0 {
		t.Error("commits are not counted")
	}
}

// count is how often a histogram was told of something, with these among its labels.
func count(t *testing.T, from prometheus.Gatherer, name, labels string) (sum float64) {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			values := map[string]bool{}
			for _, l := range m.GetLabel() {
				values[l.GetValue()] = true
			}
			all := true
			for label := range strings.FieldsSeq(labels) {
				all = all && values[label]
			}
			if family.GetName() == name && all {
				sum += float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}
