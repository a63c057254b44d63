package telemetry_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/gowarren/warren/telemetry"
)

// hole is a collector that takes connections, and nothing else.
func hole(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var held sync.Map
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			held.Store(conn, nil)
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		held.Range(func(conn, _ any) bool { _ = conn.(net.Conn).Close(); return true })
	})
	return listener.Addr().String()
}

// A collector that hangs costs a service nothing but spans: requests go on at
// once, what waits is bounded, all that is lost is counted, and the process ends
// in time.
func TestHangingCollectorCostsNothing(t *testing.T) {
	tel, _ := open(t, telemetry.Options{Traces: "otlp://" + hole(t)})
	const workers, each, mostQueued, mostInBatch = 4, 5000, 4096, 512
	var requests sync.WaitGroup
	for range workers {
		requests.Go(func() {
			for range each {
				span(tel, "request")
			}
		})
	}
	requests.Wait() // a span that waited for the collector would end this test by its time
	counted := func() (queued, lost, exported float64) {
		families, err := tel.Metrics().Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				switch f.GetName() {
				case "warren_traces_queued_spans":
					queued += m.GetGauge().GetValue()
				case "warren_traces_dropped_spans_total":
					lost += m.GetCounter().GetValue()
				case "warren_traces_exported_spans_total":
					exported += m.GetCounter().GetValue()
				}
			}
		}
		return queued, lost, exported
	}
	queued, lost, exported := counted()
	if missing := workers*each - queued - lost; queued > mostQueued || exported > 0 || missing < 0 || missing > mostInBatch {
		t.Errorf("of %d spans %v wait, %v are lost and %v exported", workers*each, queued, lost, exported)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_ = tel.Close(ctx) // it says what it could not send
	if _, lost, _ := counted(); lost != workers*each {
		t.Errorf("%v spans are counted as lost, of %d", lost, workers*each)
	}
}
