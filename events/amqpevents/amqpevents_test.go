package amqpevents_test

import (
	"context"
	"crypto/rand"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/goleak"

	"github.com/gowarren/warren/events/amqpevents"
	"github.com/gowarren/warren/events/driver"
	"github.com/gowarren/warren/events/eventstest"
	"github.com/gowarren/warren/internal/engines/enginestest"
	"github.com/gowarren/warren/internal/openurl"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var openers = map[string]openurl.Opener[driver.Driver]{"amqp": amqpevents.Open}

// The broker is common to all tests, each of which has a system of its own. Stop
// takes every process's way to it away.
func TestConformance(t *testing.T) { eventstest.Run(t, start(t)) }

func BenchmarkRelay(b *testing.B)   { eventstest.BenchmarkRelay(b, direct) }
func BenchmarkConsume(b *testing.B) { eventstest.BenchmarkConsume(b, direct) }

// direct is the way that nobody cuts, and the defaults.
func direct(tb testing.TB) eventstest.Harness {
	server := address(tb)
	system := newSystem(tb, server)
	return eventstest.Harness{Open: func(tb testing.TB) eventstest.Connection { return connect(tb, server, server.Host, "/"+system) }}
}

// newSystem names a system, whose queues are deleted after the test.
func newSystem(tb testing.TB, server *url.URL) string {
	system := "test" + strings.ToLower(rand.Text()[:10])
	tb.Cleanup(func() { clean(tb, server, system) })
	return system
}

func connect(tb testing.TB, server *url.URL, host, rest string) eventstest.Connection {
	d, err := openurl.Open(context.Background(), "events", "amqp://"+server.User.String()+"@"+host+rest, openers)
	if err != nil {
		tb.Fatal(err)
	}
	return eventstest.Connection{Driver: d}
}

func start(tb testing.TB) func(testing.TB) eventstest.Harness {
	server := address(tb)
	return func(tb testing.TB) eventstest.Harness {
		system, ways := newSystem(tb, server), &ways{}
		return eventstest.Harness{
			Open: func(tb testing.TB) eventstest.Connection {
				proxy := enginestest.StartProxy(tb, server.Host)
				ways.add(proxy)
				c := connect(tb, server, proxy.Address(), "/"+system+"?lanes=2&max_size=65536")
				c.Network = proxy
				return c
			},
			Stop:  func(testing.TB) { ways.set(true) },
			Start: func(testing.TB) { ways.set(false) },
		}
	}
}

func address(t testing.TB) *url.URL {
	raw := os.Getenv("WARREN_TEST_AMQP")
	if raw == "" {
		t.Fatal(`WARREN_TEST_AMQP is not set: run "make test", or eval "$(scripts/servers start)", for a real server`)
	}
	server, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// ways are the processes' connections to the broker.
type ways struct {
	mu  sync.Mutex
	all []*enginestest.Proxy
	cut bool
}

func (w *ways) add(p *enginestest.Proxy) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, p)
	if w.cut {
		p.Cut()
	}
}

func (w *ways) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	for _, p := range w.all {
		if cut {
			p.Cut()
		} else {
			p.Heal()
		}
	}
}

// clean deletes what a test left at the broker.
func clean(tb testing.TB, server *url.URL, system string) {
	conn, err := amqp.Dial(server.String())
	if err != nil {
		tb.Error(err)
		return
	}
	defer conn.Close()
	for _, group := range []string{"ledger", "audit", "mail", "bank"} {
		for _, topic := range []string{"eventstest.v1.Moved", "eventstest.v1.Seen"} {
			for _, lane := range []string{"0", "1", "2", "3", "all"} {
				channel, err := conn.Channel()
				if err != nil {
					tb.Error(err)
					return
				}
				_, _ = channel.QueueDelete(strings.Join([]string{system, group, topic, lane}, "."), false, false, false)
				_ = channel.ExchangeDelete(system+".events", false, false)
				_ = channel.Close()
			}
		}
	}
}

func TestOpenErrors(t *testing.T) {
	for raw, want := range map[string]string{
		"amqp://127.0.0.1:1":                     "no name of a system",
		"amqp://127.0.0.1:1/shop?lanse=3":        `unknown parameter "lanse"; known: lanes, max_size, vhost`,
		"amqp://127.0.0.1:1/shop?lanes=0":        "not between 1 and 256",
		"amqp://u:hunter2@127.0.0.1:1/s?lanes=x": "not a whole number",
	} {
		_, err := openurl.Open(t.Context(), "events", raw, openers)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open(%q): %v; want %q", raw, err, want)
		}
	}
}
