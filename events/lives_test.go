package events_test

import (
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gowarren/warren/events"
	"github.com/gowarren/warren/events/eventstest"
)

// member is a connection to one of several servers of a broker.
type member struct {
	*eventstest.HubConn
	life *atomic.Value
}

func (m member) Incarnation() string { return m.life.Load().(string) }

// TestRelaysAtSeveralServers: relays of one outbox that are connected to different
// servers of a cluster take turns, and publish nothing a second time for that. A server
// that was started again is noticed.
func TestRelaysAtSeveralServers(t *testing.T) {
	hub, db := eventstest.NewHub(), open(t)
	number := int64(0)
	republished := func(lives ...string) float64 {
		t.Helper()
		metrics, life := prometheus.NewRegistry(), new(atomic.Value)
		life.Store(lives[0])
		bus := events.New(member{hub.Open(), life}, db, events.Options{Service: "s", Logger: slog.New(slog.DiscardHandler), Metrics: metrics})
		stop := run(t, bus)
		for _, name := range lives {
			life.Store(name)
			number++
			publish(t, db, number)
			eventually(t, "it is published", func() bool { return count(t, db, `SELECT COUNT(*) FROM warren_outbox WHERE state = 0`) == 0 })
		}
		stop()
		if err := bus.Close(); err != nil {
			t.Error(err)
		}
		return counter(t, metrics, "warren_outbox_republished_total")
	}
	republished("a")
	if republished("b") == 0 {
		t.Error("another server, that may be the first one after a restart, was taken for the first one")
	}
	for _, life := range []string{"a", "b", "b", "a", "b", "a"} {
		if n := republished(life); n > 0 {
			t.Errorf("%v events were published again, as another relay has another server", n)
		}
	}
	if republished("b, started again") == 0 {
		t.Error("nothing was published again after a server was started again")
	}
	if n := republished("a"); n > 0 {
		t.Errorf("%v events were published again by the relay of the server that goes on", n)
	}
	if republished("a", "b") == 0 {
		t.Error("nothing was published again by the relay whose server went away")
	}
}

func counter(t *testing.T, metrics *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}
