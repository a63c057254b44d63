package cache_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gowarren/warren/cache"
)

// bus connects the caches of a test as a network connects instances. Each
// instance publishes through its own port, and doesn't hear itself.
type bus struct {
	mu    sync.Mutex
	ports []*port
}

type port struct {
	bus     *bus
	err     error
	changed map[string]func([]string)
}

func (b *bus) port() *port {
	p := &port{bus: b, changed: make(map[string]func([]string))}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ports = append(b.ports, p)
	return p
}

func (p *port) Publish(_ context.Context, name string, keys []string) error {
	if p.err != nil {
		return p.err
	}
	p.bus.mu.Lock()
	defer p.bus.mu.Unlock()
	for _, other := range p.bus.ports {
		if changed := other.changed[name]; other != p && changed != nil {
			changed(keys)
		}
	}
	return nil
}

func (p *port) Subscribe(name string, changed func([]string)) func() {
	p.bus.mu.Lock()
	defer p.bus.mu.Unlock()
	p.changed[name] = changed
	return func() {
		p.bus.mu.Lock()
		defer p.bus.mu.Unlock()
		delete(p.changed, name)
	}
}

func TestInvalidationReachesAllInstances(t *testing.T) {
	var net bus
	here := open(t, cache.Options[string, string]{Invalidator: net.port()})
	there := open(t, cache.Options[string, string]{Invalidator: net.port()})
	other := open(t, cache.Options[string, string]{Name: "categories", Invalidator: net.port()})
	l, untouched := &loader{value: "v"}, &loader{value: "v"}
	want(t, here, l, "v", 1)
	want(t, there, l, "v", 2)
	want(t, other, untouched, "v", 1)
	if err := here.Invalidate(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	l.value = "w"
	want(t, here, l, "w", 3)
	want(t, there, l, "w", 4)
	want(t, other, untouched, "v", 1)

	if err := there.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(t, here, l, "w", 5)
	there.Close()
	if err := here.Invalidate(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
}

func TestFailedPublishIsReportedAndStillCountsHere(t *testing.T) {
	var net bus
	p := net.port()
	p.err = errors.New("no instance answers")
	c, l := open(t, cache.Options[string, string]{Invalidator: p}), &loader{value: "v"}
	want(t, c, l, "v", 1)
	err := c.Invalidate(t.Context(), "k")
	if err == nil || err.Error() != "invalidate products on other instances: no instance answers" {
		t.Errorf("Invalidate: %v", err)
	}
	want(t, c, l, "v", 2)
}

func TestKeysTravelAsText(t *testing.T) {
	type id uint32
	var net bus
	open := func() *cache.Cache[id, int] {
		c, err := cache.New(cache.Options[id, int]{Name: "ids", Invalidator: net.port()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	here, there := open(), open()
	loads := 0
	load := func(context.Context, id) (int, error) { loads++; return loads, nil }
	get := func(key id) int {
		v, err := there.Get(t.Context(), key, load)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	get(7)
	get(8)
	if err := here.Invalidate(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	if got := get(7); got != 3 {
		t.Errorf("7 loaded as %d, want a third load", got)
	}
	if got := get(8); got != 2 {
		t.Errorf("8 loaded as %d, want it untouched", got)
	}
	// Another version of the service keys its cache by something else.
	if err := net.port().Publish(t.Context(), "ids", []string{"not-a-number"}); err != nil {
		t.Fatal(err)
	}
	if got := get(8); got != 4 {
		t.Errorf("8 loaded as %d: a key nobody can read must empty the cache", got)
	}
}

func TestValueInvalidatedWhileLoadingIsNotKept(t *testing.T) {
	invalidations := map[string]func(*cache.Cache[string, string], *port) error{
		"by key":   func(c *cache.Cache[string, string], _ *port) error { return c.Invalidate(context.Background(), "k") },
		"by clear": func(c *cache.Cache[string, string], _ *port) error { return c.Clear(context.Background()) },
		"from outside": func(_ *cache.Cache[string, string], p *port) error {
			return p.Publish(context.Background(), "products", []string{"k"})
		},
		"all, outside": func(_ *cache.Cache[string, string], p *port) error {
			return p.Publish(context.Background(), "products", nil)
		},
	}
	for name, invalidate := range invalidations {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var net bus
				c := open(t, cache.Options[string, string]{Invalidator: net.port()})
				release := make(chan struct{})
				slow := func(context.Context, string) (string, error) { <-release; return "old", nil }
				var wg sync.WaitGroup
				wg.Go(func() {
					if v, err := c.Get(t.Context(), "k", slow); v != "old" || err != nil {
						t.Errorf("who asked before got %q, %v", v, err)
					}
				})
				synctest.Wait()
				if err := invalidate(c, net.port()); err != nil {
					t.Fatal(err)
				}
				// Who asks after the invalidation doesn't join the old load.
				l := &loader{value: "new"}
				want(t, c, l, "new", 1)
				close(release)
				wg.Wait()
				want(t, c, l, "new", 1)
			})
		})
	}
}

// TestNobodyReadsTheOldValueAfterItsInvalidation hammers one key from writers,
// who change the origin and then invalidate, and readers, who must never see
// less than what was complete when they asked.
func TestNobodyReadsTheOldValueAfterItsInvalidation(t *testing.T) {
	c, err := cache.New(cache.Options[string, int64]{Name: "race", Metrics: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var origin, complete atomic.Int64
	load := func(context.Context, string) (int64, error) { return origin.Load(), nil }
	ctx, cancel := context.WithCancel(t.Context())
	var readers, writer sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				least := complete.Load()
				got, err := c.Get(t.Context(), "k", load)
				if err != nil || got < least {
					t.Errorf("Get = %d, %v; %d was complete before", got, err, least)
					return
				}
			}
		})
	}
	writer.Go(func() {
		for range 5000 {
			n := origin.Add(1)
			if err := c.Invalidate(t.Context(), "k"); err != nil {
				t.Error(err)
			}
			complete.Store(n)
		}
	})
	writer.Wait()
	cancel()
	readers.Wait()
}

func TestConcurrentUse(t *testing.T) {
	var net bus
	caches := make([]*cache.Cache[string, string], 3)
	for i := range caches {
		caches[i] = open(t, cache.Options[string, string]{Max: 16, Invalidator: net.port()})
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 500 {
				c, key := caches[(i+n)%3], strconv.Itoa(rand.IntN(32))
				switch {
				case n%50 == 49:
					_ = c.Clear(t.Context())
				case n%10 == 9:
					_ = c.Invalidate(t.Context(), key)
				default:
					v, err := c.Get(t.Context(), key, func(_ context.Context, k string) (string, error) {
						if slices.Contains([]string{"3", "5"}, k) {
							return "", cache.ErrNotFound
						}
						return "v" + k, nil
					})
					if err == nil && v != "v"+key {
						t.Errorf("%s holds %s", key, v)
					}
				}
			}
		})
	}
	wg.Wait()
}
