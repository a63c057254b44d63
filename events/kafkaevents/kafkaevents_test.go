package kafkaevents

import (
	"context"
	"math/rand/v2"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"github.com/gowarren/warren/events/driver"
	"github.com/gowarren/warren/events/eventstest"
	"github.com/gowarren/warren/internal/engines/enginestest"
	"github.com/gowarren/warren/internal/openurl"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is Kafka's protocol in this process, with files that outlive it. It stands
// for Kafka until a real one is at hand.
type fake struct {
	dir  string
	port int

	mu      sync.Mutex
	cluster *kfake.Cluster
}

func startFake(tb testing.TB) *fake {
	tb.Helper()
	f := &fake{dir: tb.TempDir(), port: freePort(tb)}
	f.start(tb)
	tb.Cleanup(func() { f.stop(tb) })
	return f
}

// freePort is below the range of those that anybody is given who asks for one: they
// may not get it while the broker is stopped.
func freePort(tb testing.TB) int {
	for range 100 {
		port := 10_000 + rand.IntN(10_000)
		if l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			l.Close()
			return port
		}
	}
	tb.Fatal("no port is free")
	return 0
}

func (f *fake) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(f.port)) }

func (f *fake) start(tb testing.TB) {
	tb.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cluster != nil {
		return
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(f.port), kfake.DataDir(f.dir), kfake.SyncWrites(),
		kfake.GroupMinSessionTimeout(100*time.Millisecond))
	if err != nil {
		tb.Fatal(err)
	}
	f.cluster = cluster
}

func (f *fake) stop(testing.TB) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cluster != nil {
		f.cluster.Close()
		f.cluster = nil
	}
}

func TestConformance(t *testing.T) { eventstest.Run(t, start) }

func BenchmarkRelay(b *testing.B)   { eventstest.BenchmarkRelay(b, direct) }
func BenchmarkConsume(b *testing.B) { eventstest.BenchmarkConsume(b, direct) }

// direct is the way that nobody cuts, and the defaults.
func direct(tb testing.TB) eventstest.Harness {
	kafka := startFake(tb)
	return eventstest.Harness{Open: func(tb testing.TB) eventstest.Connection {
		return connect(tb, "kafka://"+kafka.address()+"/shop", nil)
	}}
}

func connect(tb testing.TB, address string, dial func(ctx context.Context, network, address string) (net.Conn, error)) eventstest.Connection {
	u, err := openurl.Parse(address)
	if err != nil {
		tb.Fatal(err)
	}
	d, err := open(u, dial)
	if err != nil {
		tb.Fatal(err)
	}
	return eventstest.Connection{Driver: d}
}

func start(tb testing.TB) eventstest.Harness {
	kafka := startFake(tb)
	return eventstest.Harness{
		Open: func(tb testing.TB) eventstest.Connection {
			// Brokers say where they are, so the way to them is changed where it is dialled.
			proxy := enginestest.StartProxy(tb, kafka.address())
			c := connect(tb, "kafka://"+kafka.address()+"/shop?lanes=4&session=1s&max_size=65536", func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, proxy.Address())
			})
			c.Network = proxy
			return c
		},
		Stop:  kafka.stop,
		Start: kafka.start,
	}
}

func TestOpenErrors(t *testing.T) {
	openers := map[string]func(context.Context, *url.URL) (driver.Driver, error){"kafka": Open}
	for raw, want := range map[string]string{
		"kafka://127.0.0.1:1":                     "no name of a system",
		"kafka://127.0.0.1:1/shop?lanse=3":        `unknown parameter "lanse"; known: lanes, max_size`,
		"kafka://127.0.0.1:1/shop?lanes=0":        "not between 1 and 1000",
		"kafka://u:hunter2@127.0.0.1:1/s?lanes=x": "not a whole number",
	} {
		_, err := openurl.Open(t.Context(), "events", raw, openers)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open(%q): %v; want %q", raw, err, want)
		}
	}
}
