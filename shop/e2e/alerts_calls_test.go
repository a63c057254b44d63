package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	framework "github.com/gowarren/warren"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
	shippingv1 "github.com/gowarren/warren/shop/api/shop/shipping/v1"
)

const cancelled = "shop.shipping.v1.ShippingService/CancelShipment"

// stranger calls the services of the bed from outside.
func (b *bed) stranger() shippingv1.ShippingServiceClient {
	return shippingv1.NewShippingServiceClient(b.sys.Client())
}

// callsFail: a third of the calls to a service fail by its own fault.
func (b *bed) callsFail() func() {
	d, from := &haulier{}, b.stranger()
	b.start("faulty", "", serves(d))
	return func() {
		defer b.times(5, func() { _ = b.call(from, "faulty") })()
		b.hold(fault{[]expected{alarm("HighErrorRatio", "service", "faulty")}, func() (func(), error) {
			var n atomic.Int64
			d.now(func(context.Context) error {
				if n.Add(1)%3 == 0 {
					return status.Error(codes.Internal, "a bug")
				}
				return nil
			})
			return func() { d.now(healthy) }, nil
		}})
	}
}

// callsAreSlow: every call to a service takes longer than a second.
func (b *bed) callsAreSlow() func() {
	d, from := &haulier{}, b.stranger()
	b.start("slow", "rpc.admission.min: 1000, rpc.admission.initial: 1000", serves(d))
	return func() {
		var calls sync.WaitGroup
		defer calls.Wait()
		defer b.each(func() {
			for range 3 {
				calls.Go(func() { _ = b.call(from, "slow") })
			}
		})()
		b.hold(fault{[]expected{alarm("HighLatency", "service", "slow")}, func() (func(), error) {
			d.now(func(ctx context.Context) error {
				rest(ctx, 1500*time.Millisecond)
				return nil
			})
			return func() { d.now(healthy) }, nil
		}})
	}
}

// breakersOpen: whoever calls a service that is broken ceases to.
func (b *bed) breakersOpen() func() {
	d := &haulier{}
	b.start("flaky", "", serves(d))
	careful := b.start("careful", "rpc.breaker.open: 5s, rpc.breaker.open_max: 5s", serves(&haulier{}))
	return func() {
		from := shippingv1.NewShippingServiceClient(careful.app)
		defer b.times(3, func() { _ = b.call(from, "flaky") })()
		b.hold(fault{[]expected{alarm("BreakerOpen", "service", "careful", "rpc_method", cancelled)}, func() (func(), error) {
			d.now(away)
			return func() { d.now(healthy) }, nil
		}})
	}
}

// retriesStorm: somebody tries again and again what fails.
func (b *bed) retriesStorm() func() {
	d := &haulier{}
	b.start("tired", "", serves(d))
	eager := b.start("eager", "rpc.retry.reserve: 1000, rpc.retry.budget: 1, rpc.retry.backoff: 0s, rpc.breaker.calls: 10000, rpc.outlier.share: 0", serves(&haulier{}))
	return func() {
		from := shippingv1.NewShippingServiceClient(eager.app)
		stop := b.times(24, func() { _ = b.call(from, "tired") })
		b.hold(fault{[]expected{alarm("RetryStorm", "service", "eager")}, func() (func(), error) {
			d.now(away)
			return func() { d.now(healthy); b.wait(2); stop() }, nil
		}})
	}
}

// callsAreShed: a service that can do one thing at a time does not get it done.
func (b *bed) callsAreShed() func() {
	d, from := &haulier{}, b.stranger()
	b.start("full", "rpc.admission.min: 1, rpc.admission.max: 1, rpc.admission.initial: 1, rpc.admission.queue: 0", serves(d))
	return func() {
		var calls sync.WaitGroup
		defer calls.Wait()
		b.hold(fault{[]expected{alarm("CallsShed", "service", "full")}, func() (func(), error) {
			d.now(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			stop := b.each(func() {
				for range 4 {
					calls.Go(func() { _ = b.call(from, "full") })
				}
			})
			return func() { d.now(healthy); stop() }, nil
		}})
	}
}

// handlerPanics: once.
func (b *bed) handlerPanics() func() {
	d, from := &haulier{}, b.stranger()
	b.start("shaky", "", serves(d))
	return func() {
		b.hold(fault{[]expected{alarm("HandlerPanics", "service", "shaky", "rpc_method", cancelled)}, func() (func(), error) {
			d.now(func(context.Context) error { panic("out of cheese") })
			var err error
			if !b.eventually(func() bool { err = b.call(from, "shaky"); return status.Code(err) == codes.Internal }) {
				return nil, fmt.Errorf("a panic is answered with %w", err)
			}
			return func() { d.now(healthy) }, nil
		}})
	}
}

// usersSeeErrors: what comes by the gateway fails, then somebody asks too much,
// then nobody asks any more, which is seen an hour later.
func (b *bed) usersSeeErrors() func() {
	d := b.shelf
	b.start("public", "", func(_ context.Context, app *framework.App, _ *member) error {
		catalogv1.RegisterCatalogServiceServer(app, d)
		return nil
	})
	file := b.file("gateway", "")
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, append(text, "methods:\n  /shop.catalog.v1.CatalogService/ListCategories: {gateway.rate.address.requests: 1, gateway.rate.address.per: 1h}\n"...), 0o600)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	url := b.sys.Gateway("--system-file", file)
	b.scrape("gateway/1")
	ask := func(path string) {
		if resp, err := http.Get(url + path); err == nil {
			resp.Body.Close()
		}
	}
	var n atomic.Int64
	customers := func() (stop func()) {
		return b.times(20, func() { ask(fmt.Sprint("/v1/products/P", n.Add(1))) })
	}
	return func() {
		leave := customers()
		b.wait(10)
		b.hold(fault{[]expected{alarm("GatewayErrors")}, func() (func(), error) {
			d.now(func(context.Context) error { return status.Error(codes.Internal, "a bug") })
			return func() { d.now(healthy) }, nil
		}})
		b.hold(fault{[]expected{alarm("RateLimited")}, func() (func(), error) {
			return b.times(25, func() { ask("/v1/categories") }), nil
		}})
		b.hold(fault{[]expected{alarm("TrafficDrop")}, func() (func(), error) {
			leave()
			return func() { leave = customers() }, nil
		}})
		leave()
	}
}

// stuck is a metric that nobody gets to see while it is held.
type stuck struct {
	prometheus.Gauge
	held sync.RWMutex
}

func (s *stuck) Collect(out chan<- prometheus.Metric) {
	s.held.RLock()
	defer s.held.RUnlock()
	s.Gauge.Collect(out)
}

// instanceHangs: it is registered, and does not show its metrics.
func (b *bed) instanceHangs() func() {
	s := &stuck{Gauge: prometheus.NewGauge(prometheus.GaugeOpts{Name: "stuck", Help: "Nothing."})}
	b.start("hung", "", func(_ context.Context, app *framework.App, _ *member) error { return app.Metrics().Register(s) })
	return func() {
		b.hold(fault{[]expected{alarm("InstanceDown", "instance", "hung/1")}, func() (func(), error) {
			s.held.Lock()
			return s.held.Unlock, nil
		}})
	}
}

// flood is as many series as are wanted, with other labels each time if it is restless.
type flood struct {
	size     atomic.Int64
	restless bool
	seen     atomic.Int64
}

func (*flood) Describe(chan<- *prometheus.Desc) {}

func (f *flood) Collect(out chan<- prometheus.Metric) {
	desc := prometheus.NewDesc("flood", "", []string{"id"}, nil)
	size := f.size.Load()
	first := int64(0)
	if f.restless {
		first = f.seen.Add(size)
	}
	for n := range size {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, 1, strconv.FormatInt(first+n, 10))
	}
}

func (b *bed) floods(name string, restless bool) *flood {
	f := &flood{restless: restless}
	b.start(name, "", func(_ context.Context, app *framework.App, _ *member) error { return app.Metrics().Register(f) })
	return f
}

// seriesFlood: a label has a value for each of everything.
func (b *bed) seriesFlood() func() {
	f := b.floods("flooding", false)
	return func() {
		both := []expected{alarm("CardinalityHigh", "instance", "flooding/1"), alarm("TooManySeries", "instance", "flooding/1")}
		b.hold(fault{both, func() (func(), error) {
			f.size.Store(11_000)
			return func() { f.size.Store(0) }, nil
		}})
	}
}

// seriesChurn: a label has other values each time.
func (b *bed) seriesChurn() func() {
	f := b.floods("churning", true)
	return func() {
		b.hold(fault{[]expected{alarm("SeriesRefused", "service", "churning")}, func() (func(), error) {
			f.size.Store(5000)
			return func() { f.size.Store(0) }, nil
		}})
	}
}
