package events_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/gowarren/warren/events"
	"github.com/gowarren/warren/events/eventstest"
	eventstestv1 "github.com/gowarren/warren/events/internal/testpb/eventstest/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/telemetry"
)

// TestBacklogDrainsInOrder: thousands of events wait while the broker is away, a
// metric tells, and then each arrives once, those of a key in order.
func TestBacklogDrainsInOrder(t *testing.T) {
	const keys, each = 20, 200
	hub, db, metrics := eventstest.NewHub(), open(t), prometheus.NewRegistry()
	hub.Stop()
	bus := events.New(hub.Open(), db, events.Options{Service: "s", Logger: slog.New(slog.DiscardHandler), Metrics: metrics})
	got := map[string][]int64{}
	arrived := make(chan *eventstestv1.Moved, keys*each)
	err := events.Subscribe(ledger{bus}, func(_ context.Context, tx *store.Tx, e *eventstestv1.Moved) error {
		tx.AfterCommit(func() { arrived <- e })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, bus)
	for n := range int64(each) {
		err := db.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			for key := range keys {
				if err := events.Publish(ctx, tx, &eventstestv1.Moved{Account: fmt.Sprint("a", key), Number: n}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the metric tells how many wait", func() bool { return gauge(t, metrics, "warren_outbox_pending") == keys*each })
	hub.Start()
	for range keys * each {
		e := <-arrived
		if n := len(got[e.GetAccount()]); int64(n) != e.GetNumber() {
			t.Fatalf("event %d of %s came when %d was due", e.GetNumber(), e.GetAccount(), n)
		}
		got[e.GetAccount()] = append(got[e.GetAccount()], e.GetNumber())
	}
	if len(arrived) != 0 {
		t.Errorf("%d came twice", len(arrived))
	}
}

func gauge(t *testing.T, metrics *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return 0
}

// TestDamagedRow: a row of the outbox that cannot be read is a dead letter, and stops
// nobody.
func TestDamagedRow(t *testing.T) {
	db := open(t)
	if err := events.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	_, err := db.Exec(t.Context(), `INSERT INTO warren_outbox (id, topic, event_key, headers, payload, created_at, state, sent_at)
		VALUES ('bad', 'eventstest.v1.Moved', 'a', 'no json', '', 0, 0, 0)`)
	if err != nil {
		t.Fatal(err)
	}
	bus := events.New(eventstest.NewHub().Open(), db, events.Options{Service: "s", Logger: slog.New(slog.DiscardHandler)})
	got := make(chan int64, 10)
	err = events.Subscribe(ledger{bus}, func(_ context.Context, _ *store.Tx, e *eventstestv1.Moved) error {
		got <- e.GetNumber()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, bus)
	publish(t, db, 7)
	if n := <-got; n != 7 {
		t.Errorf("got %d", n)
	}
	var letters []events.Letter
	eventually(t, "the damaged row is a dead letter", func() bool {
		letters, err = bus.Letters().List(t.Context(), events.Filter{})
		return err == nil && len(letters) > 0
	})
	if len(letters) != 1 || letters[0].ID != "bad" || !strings.Contains(letters[0].Reason, "headers are damaged") {
		t.Errorf("letters: %+v", letters)
	}
}

// TestLetterThatCannotBeWritten: while a dead letter cannot be written, its event is
// neither confirmed nor lost; it becomes one when it can.
func TestLetterThatCannotBeWritten(t *testing.T) {
	db, hub := open(t), eventstest.NewHub()
	if err := events.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	_, err := db.Exec(t.Context(), `CREATE TRIGGER full BEFORE INSERT ON warren_dead_letters BEGIN SELECT RAISE(ABORT, 'the disk is full'); END`)
	if err != nil {
		t.Fatal(err)
	}
	bus := events.New(hub.Open(), db, events.Options{Service: "s", Logger: slog.New(slog.DiscardHandler)})
	tried := make(chan struct{}, 1000)
	err = events.Subscribe(ledger{bus}, func(context.Context, *store.Tx, *eventstestv1.Moved) error {
		tried <- struct{}{}
		return events.DeadLetter("hopeless")
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, bus)
	publish(t, db, 1)
	<-tried
	<-tried // again: it was not given up
	if n := count(t, db, `SELECT (SELECT COUNT(*) FROM warren_inbox) + (SELECT COUNT(*) FROM warren_dead_letters)`); n != 0 {
		t.Errorf("%d rows of an event that was not settled", n)
	}
	other := hub.Open()
	if lag, err := other.Lag(t.Context(), "eventstest.v1.Moved", "s"); err != nil || lag != 1 {
		t.Errorf("the broker has %d events for the group, %v; want the one", lag, err)
	}
	if _, err := db.Exec(t.Context(), `DROP TRIGGER full`); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is a dead letter", func() bool { return count(t, db, `SELECT COUNT(*) FROM warren_dead_letters`) == 1 })
}

// TestTraceGoesOnThroughEvents: publishing and every attempt to handle an event are
// in the trace of whoever published it, also those made later, out of the database.
func TestTraceGoesOnThroughEvents(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	tel, err := telemetry.Open(t.Context(), telemetry.Options{Service: "s", Exporter: exporter, Sample: func() float64 { return 1 }, Output: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tel.Close(context.Background()) }()
	db := open(t)
	bus := events.New(eventstest.NewHub().Open(), db, events.Options{Service: "s", Logger: slog.New(slog.DiscardHandler), Tracer: tel.Tracer()})
	handled := make(chan trace.SpanContext, 1)
	err = events.Subscribe(ledger{bus}, func(ctx context.Context, tx *store.Tx, _ *eventstestv1.Moved) error {
		if m, _ := events.FromContext(ctx); m.Attempt == 1 {
			return errors.New("not yet")
		}
		tx.AfterCommit(func() { handled <- trace.SpanContextFromContext(ctx) })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, bus)
	ctx, root := tel.Tracer().Start(t.Context(), "checkout", trace.SpanKindServer)
	err = db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return events.Publish(ctx, tx, &eventstestv1.Moved{Account: "a"})
	})
	root.End()
	if err != nil {
		t.Fatal(err)
	}
	in := <-handled
	stop()
	if err := tel.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	spans := exporter.GetSpans()
	find := func(name string) (out []tracetest.SpanStub) {
		for _, s := range spans {
			if s.Name == name {
				out = append(out, s)
			}
		}
		return out
	}
	from, sent, processed := find("checkout"), find("send eventstest.v1.Moved"), find("process eventstest.v1.Moved")
	if len(from) != 1 || len(sent) != 1 || len(processed) != 2 {
		t.Fatalf("spans: %d of the publisher, %d sent, %d processed; want 1, 1, 2", len(from), len(sent), len(processed))
	}
	if sent[0].Parent.SpanID() != from[0].SpanContext.SpanID() || sent[0].SpanKind != trace.SpanKindProducer {
		t.Errorf("sent: %v, kind %v", sent[0].Parent, sent[0].SpanKind)
	}
	for i, s := range processed {
		if s.Parent.SpanID() != sent[0].SpanContext.SpanID() || s.SpanContext.TraceID() != from[0].SpanContext.TraceID() || s.SpanKind != trace.SpanKindConsumer {
			t.Errorf("attempt %d is not a child of the publishing: %v, kind %v", i+1, s.Parent, s.SpanKind)
		}
		if !slices.ContainsFunc(s.Attributes, func(a attribute.KeyValue) bool { return a.Key == "warren.attempt" && a.Value.AsInt64() == int64(i+1) }) {
			t.Errorf("attempt %d has %v", i+1, s.Attributes)
		}
	}
	if in.TraceID() != from[0].SpanContext.TraceID() {
		t.Error("the handler is not in the publisher's trace")
	}
}
