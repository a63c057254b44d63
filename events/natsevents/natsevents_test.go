package natsevents_test

import (
	"context"
	"strings"
	"testing"

	"github.com/gowarren/warren/events/driver"
	"github.com/gowarren/warren/events/eventstest"
	"github.com/gowarren/warren/events/natsevents"
	"github.com/gowarren/warren/internal/engines/enginestest"
	"github.com/gowarren/warren/internal/openurl"
)

var openers = map[string]openurl.Opener[driver.Driver]{"nats": natsevents.Open}

func TestConformance(t *testing.T) { eventstest.Run(t, start) }

func BenchmarkRelay(b *testing.B)   { eventstest.BenchmarkRelay(b, direct) }
func BenchmarkConsume(b *testing.B) { eventstest.BenchmarkConsume(b, direct) }

// direct is the way that nobody cuts, and the defaults.
func direct(tb testing.TB) eventstest.Harness {
	nats := enginestest.StartNATS(tb)
	return eventstest.Harness{Open: func(tb testing.TB) eventstest.Connection { return connect(tb, "nats://"+nats.Endpoint()+"/shop") }}
}

func connect(tb testing.TB, address string) eventstest.Connection {
	d, err := openurl.Open(context.Background(), "events", address, openers)
	if err != nil {
		tb.Fatal(err)
	}
	return eventstest.Connection{Driver: d}
}

// start starts an embedded server, which syncs every second.
func start(tb testing.TB) eventstest.Harness {
	nats := enginestest.StartNATS(tb)
	return eventstest.Harness{
		Open: func(tb testing.TB) eventstest.Connection {
			proxy := enginestest.StartProxy(tb, nats.Endpoint())
			c := connect(tb, "nats://"+proxy.Address()+"/shop?ack_wait=1s")
			c.Network = proxy
			return c
		},
		Stop:  nats.Stop,
		Start: nats.Start,
		Lose:  nats.Lose,
	}
}

// TestCluster runs the parts in which brokers make a difference on three members, with
// three copies of everything: the one that leads the stream is stopped under traffic.
func TestCluster(t *testing.T) {
	eventstest.Run(t, startCluster, "OnceAndInOrder", "BrokerKilled")
}

func startCluster(tb testing.TB) eventstest.Harness {
	cluster := enginestest.StartNATSCluster(tb)
	return eventstest.Harness{
		Open: func(tb testing.TB) eventstest.Connection {
			return connect(tb, cluster.URL("shop")+"?replicas=3&lanes=2&ack_wait=1s")
		},
		Stop:  func(tb testing.TB) { cluster.StopLeader(tb, "shop-events") },
		Start: cluster.Start,
	}
}

func TestOpenErrors(t *testing.T) {
	for raw, want := range map[string]string{
		"nats://127.0.0.1:1":                     "no name of a system",
		"nats://127.0.0.1:1/shop?lanse=3":        `unknown parameter "lanse"; known: ack_wait, creds, lanes`,
		"nats://127.0.0.1:1/shop?lanes=0":        "not between 1 and 256",
		"nats://127.0.0.1:1/shop?ack_wait=1ms":   "shorter than 100ms",
		"nats://u:hunter2@127.0.0.1:1/s?lanes=x": "not a whole number",
	} {
		_, err := openurl.Open(t.Context(), "events", raw, openers)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open(%q): %v; want %q", raw, err, want)
		}
	}
}
