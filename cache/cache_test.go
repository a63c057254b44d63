package cache_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/gowarren/warren/cache"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// loader counts its calls and answers with what the test sets.
type loader struct {
	calls atomic.Int32
	value string
	err   error
}

func (l *loader) load(context.Context, string) (string, error) {
	l.calls.Add(1)
	return l.value, l.err
}

func open(t *testing.T, opts cache.Options[string, string]) *cache.Cache[string, string] {
	t.Helper()
	if opts.Name == "" {
		opts.Name = "products"
	}
	c, err := cache.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func want(t *testing.T, c *cache.Cache[string, string], l *loader, value string, calls int32) {
	t.Helper()
	got, err := c.Get(t.Context(), "k", l.load)
	if err != nil || got != value {
		t.Errorf("Get = %q, %v; want %q", got, err, value)
	}
	if n := l.calls.Load(); n != calls {
		t.Errorf("loads = %d, want %d", n, calls)
	}
}

func TestValueIsFreshForItsTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, l := open(t, cache.Options[string, string]{TTL: time.Minute, Jitter: -1}), &loader{value: "a"}
		want(t, c, l, "a", 1)
		l.value = "b"
		elapse(59 * time.Second)
		want(t, c, l, "a", 1)
		elapse(time.Second)
		want(t, c, l, "b", 2)
	})
}

func TestNotFoundIsRememberedForItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, cache.Options[string, string]{TTL: time.Minute, NegativeTTL: time.Second, Jitter: -1})
		l := &loader{err: fmt.Errorf("product k: %w", cache.ErrNotFound)}
		for range 3 {
			if _, err := c.Get(t.Context(), "k", l.load); !errors.Is(err, cache.ErrNotFound) || err.Error() != "product k: not found" {
				t.Errorf("Get: %v, want the load's own error", err)
			}
		}
		if n := l.calls.Load(); n != 1 {
			t.Errorf("loads = %d, want 1", n)
		}
		elapse(time.Second)
		l.err, l.value = nil, "born"
		want(t, c, l, "born", 2)
	})
}

func TestNotFoundIsNotRememberedWhenSwitchedOff(t *testing.T) {
	c, l := open(t, cache.Options[string, string]{NegativeTTL: -1}), &loader{err: cache.ErrNotFound}
	for range 3 {
		_, _ = c.Get(t.Context(), "k", l.load)
	}
	if n := l.calls.Load(); n != 3 {
		t.Errorf("loads = %d, want 3", n)
	}
}

func TestNotFoundPredicate(t *testing.T) {
	gone := errors.New("gone")
	c := open(t, cache.Options[string, string]{NotFound: func(err error) bool { return errors.Is(err, gone) }})
	l := &loader{err: gone}
	for range 2 {
		if _, err := c.Get(t.Context(), "k", l.load); !errors.Is(err, gone) {
			t.Errorf("Get: %v", err)
		}
	}
	if n := l.calls.Load(); n != 1 {
		t.Errorf("loads = %d, want 1", n)
	}
}

func TestErrorsAreNotKept(t *testing.T) {
	c, l := open(t, cache.Options[string, string]{}), &loader{err: errors.New("database is away")}
	for range 2 {
		if _, err := c.Get(t.Context(), "k", l.load); err == nil {
			t.Error("no error")
		}
	}
	l.err, l.value = nil, "v"
	want(t, c, l, "v", 3)
}

func TestJitterSpreadsExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := cache.New(cache.Options[int, int]{Name: "n", TTL: 100 * time.Second, Jitter: 0.5})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		loads := 0
		load := func(context.Context, int) (int, error) { loads++; return 0, nil }
		get := func() int {
			before := loads
			for key := range 1000 {
				if _, err := c.Get(t.Context(), key, load); err != nil {
					t.Fatal(err)
				}
			}
			return loads - before
		}
		get()
		elapse(50 * time.Second)
		if n := get(); n > 5 {
			t.Errorf("%d of 1000 expired before half of their life", n)
		}
		elapse(25 * time.Second)
		if n := get(); n < 400 || n > 600 {
			t.Errorf("%d of 1000 expired after three quarters of their life, want about half", n)
		}
	})
}

func TestStaleValueStandsInForAFailedLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, cache.Options[string, string]{TTL: time.Second, StaleIfError: time.Minute, Jitter: -1})
		l := &loader{value: "old"}
		want(t, c, l, "old", 1)
		l.err = errors.New("database is away")
		elapse(2 * time.Second)
		want(t, c, l, "old", 2)
		want(t, c, l, "old", 2) // the origin isn't asked again at once
		elapse(2 * time.Second)
		want(t, c, l, "old", 3)
		elapse(time.Minute)
		if _, err := c.Get(t.Context(), "k", l.load); err == nil {
			t.Error("a value older than StaleIfError allows was served")
		}
		l.err, l.value = nil, "new"
		want(t, c, l, "new", 5)
	})
}

func TestStaleNeverStandsInForWhatWasInvalidated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, cache.Options[string, string]{TTL: time.Second, StaleIfError: time.Hour, Jitter: -1})
		want(t, c, &loader{value: "old"}, "old", 1)
		elapse(2 * time.Second)
		failed := func(ctx context.Context, _ string) (string, error) {
			return "", errors.Join(c.Invalidate(ctx, "k"), errors.New("database is away"))
		}
		if v, err := c.Get(t.Context(), "k", failed); err == nil {
			t.Errorf("Get = %q, want the load's error", v)
		}
	})
}

func TestAbsentReplacesStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, cache.Options[string, string]{TTL: time.Second, StaleIfError: time.Hour, NegativeTTL: -1, Jitter: -1})
		l := &loader{value: "old"}
		want(t, c, l, "old", 1)
		elapse(2 * time.Second)
		l.err = cache.ErrNotFound
		if v, err := c.Get(t.Context(), "k", l.load); !errors.Is(err, cache.ErrNotFound) || v != "" {
			t.Errorf("Get = %q, %v; want not found and no value", v, err)
		}
		l.err = errors.New("database is away")
		if v, err := c.Get(t.Context(), "k", l.load); err == nil {
			t.Errorf("Get = %q: what was deleted came back", v)
		}
	})
}

func TestOneLoadForAllWhoAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, cache.Options[string, string]{})
		var calls atomic.Int32
		release := make(chan struct{})
		load := func(context.Context, string) (string, error) {
			calls.Add(1)
			<-release
			return "v", nil
		}
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if v, err := c.Get(t.Context(), "k", load); v != "v" || err != nil {
					t.Errorf("Get = %q, %v", v, err)
				}
			})
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		if n := calls.Load(); n != 1 {
			t.Errorf("loads = %d, want 1", n)
		}
	})
}

type userKey struct{}

func TestLoadOutlivesTheCallerWhoCausedIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, cache.Options[string, string]{})
		release := make(chan struct{})
		load := func(ctx context.Context, _ string) (string, error) {
			<-release
			if ctx.Value(userKey{}) != "ada" {
				t.Error("the load lost the context's values")
			}
			return "v", ctx.Err()
		}
		first, cancel := context.WithCancelCause(context.WithValue(t.Context(), userKey{}, "ada"))
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := c.Get(first, "k", load)
			if err == nil || err.Error() != "wait for products k: client went away" {
				t.Errorf("the first caller got %v, want the cause of its context's end", err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if v, err := c.Get(t.Context(), "k", load); v != "v" || err != nil {
				t.Errorf("the second caller got %q, %v", v, err)
			}
		})
		synctest.Wait()
		cancel(errors.New("client went away"))
		synctest.Wait()
		close(release)
		wg.Wait()
	})
}

func TestLoadIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, cache.Options[string, string]{LoadTimeout: time.Second})
		hang := func(ctx context.Context, _ string) (string, error) { <-ctx.Done(); return "", ctx.Err() }
		if _, err := c.Get(t.Context(), "k", hang); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Get: %v, want the load's deadline", err)
		}
	})
}

func TestCloseEndsLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, cache.Options[string, string]{})
		hang := func(ctx context.Context, _ string) (string, error) { <-ctx.Done(); return "", ctx.Err() }
		go func() {
			synctest.Wait()
			c.Close()
		}()
		if _, err := c.Get(t.Context(), "k", hang); !errors.Is(err, context.Canceled) {
			t.Errorf("Get: %v, want a cancelled load", err)
		}
	})
}

func TestPanicReachesEveryWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, cache.Options[string, string]{})
		release := make(chan struct{})
		load := func(context.Context, string) (string, error) { <-release; panic("boom") }
		var caught atomic.Int32
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				defer func() {
					if text := fmt.Sprint(recover()); strings.Contains(text, "boom") && strings.Contains(text, "cache_test.go") {
						caught.Add(1)
					}
				}()
				_, _ = c.Get(t.Context(), "k", load)
			})
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		if n := caught.Load(); n != 3 {
			t.Errorf("%d of 3 callers saw the panic with the load's stack", n)
		}
		want(t, c, &loader{value: "v"}, "v", 1)
	})
}

func TestLoadThatEndsItsGoroutine(t *testing.T) {
	c := open(t, cache.Options[string, string]{})
	load := func(context.Context, string) (string, error) { runtime.Goexit(); return "", nil }
	if _, err := c.Get(t.Context(), "k", load); err == nil {
		t.Error("no error")
	}
}

func TestCacheIsBounded(t *testing.T) {
	metrics := prometheus.NewRegistry()
	byCount, err := cache.New(cache.Options[int, string]{Name: "count", Max: 100, Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	defer byCount.Close()
	byCost, err := cache.New(cache.Options[int, string]{
		Name: "cost", Max: 1000, Cost: func(_ int, v string) int { return len(v) }, Metrics: metrics,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer byCost.Close()
	load := func(context.Context, int) (string, error) { return "ten bytes!", nil }
	for key := range 5000 {
		for _, c := range []*cache.Cache[int, string]{byCount, byCost} {
			if _, err := c.Get(t.Context(), key, load); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, func() bool { return byCount.Len() <= 100 && byCost.Len() <= 100 })
	if n, err := testutil.GatherAndCount(metrics, "warren_cache_evictions_total"); n != 2 || err != nil {
		t.Errorf("%d caches count their evictions, %v", n, err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for text, opts := range map[string]cache.Options[string, int]{
		`open cache "": it has no name`:                                    {},
		`open cache "a": max is -1; it must be positive`:                   {Name: "a", Max: -1},
		`open cache "a": ttl is -1s; it must be positive`:                  {Name: "a", TTL: -time.Second},
		`open cache "a": jitter is 2; it is a share of the ttl, at most 1`: {Name: "a", Jitter: 2},
	} {
		if _, err := cache.New(opts); err == nil || err.Error() != text {
			t.Errorf("New: %v, want %s", err, text)
		}
	}
}

func TestMetrics(t *testing.T) {
	metrics := prometheus.NewRegistry()
	c, l := open(t, cache.Options[string, string]{Metrics: metrics}), &loader{value: "v"}
	want(t, c, l, "v", 1)
	want(t, c, l, "v", 1)
	if err := c.Invalidate(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	l.err = cache.ErrNotFound
	_, _ = c.Get(t.Context(), "k", l.load)
	_, _ = c.Get(t.Context(), "k", l.load)
	expected := `
# HELP warren_cache_invalidations_total Keys invalidated by this instance (local) and by others (remote).
# TYPE warren_cache_invalidations_total counter
warren_cache_invalidations_total{cache="products",origin="local"} 1
warren_cache_invalidations_total{cache="products",origin="remote"} 0
# HELP warren_cache_requests_total Reads by result: hit, negative (known to be absent), stale (a failed load's stand-in), miss.
# TYPE warren_cache_requests_total counter
warren_cache_requests_total{cache="products",result="hit"} 1
warren_cache_requests_total{cache="products",result="miss"} 2
warren_cache_requests_total{cache="products",result="negative"} 1
warren_cache_requests_total{cache="products",result="stale"} 0
`
	if err := testutil.GatherAndCompare(metrics, strings.NewReader(expected), "warren_cache_requests_total", "warren_cache_invalidations_total"); err != nil {
		t.Error(err)
	}
	if _, err := cache.New(cache.Options[string, int]{Name: "products", Metrics: metrics}); err == nil {
		t.Error("two caches of one name share their metrics")
	}
	c.Close()
	again, err := cache.New(cache.Options[string, int]{Name: "products", Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestHitDoesNotAllocate(t *testing.T) {
	c, l := open(t, cache.Options[string, string]{}), &loader{value: "v"}
	load := l.load
	ctx := t.Context()
	if n := testing.AllocsPerRun(1000, func() { _, _ = c.Get(ctx, "k", load) }); n != 0 {
		t.Errorf("a hit allocates %v times", n)
	}
}

func BenchmarkHit(b *testing.B) {
	c, err := cache.New(cache.Options[string, string]{Name: "bench", Metrics: prometheus.NewRegistry()})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	l := &loader{value: "v"}
	load, ctx := l.load, b.Context()
	keys := make([]string, 1024)
	for i := range keys {
		keys[i] = fmt.Sprintf("sku-%d", i)
		_, _ = c.Get(ctx, keys[i], load)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			_, _ = c.Get(ctx, keys[i&1023], load)
		}
	})
}

// elapse lets the bubble's clock go on; in a bubble that takes no time.
func elapse(d time.Duration) { <-time.After(d) }

// eventually waits for a condition that other goroutines bring about.
func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("condition not reached in 10 s")
		}
	}
}
