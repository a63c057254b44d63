// Package cache keeps what was expensive to load, in this process: bounded,
// loaded once however many ask at the same time, expired with jitter, and
// forgotten on all instances when it changes.
//
// An absent thing is remembered too, for a shorter time, so that asking for
// what doesn't exist is as cheap as asking for what does. A load belongs to
// everybody who waits for it: it goes on when the caller who caused it gives
// up. What is invalidated while it is being loaded is not kept.
//
// How stale may an entry be? For TTL, where the invalidation got lost or there
// is none; for the time the message travels, where it didn't.
package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// ErrNotFound is what a load returns, by itself or wrapped, when there is
// nothing under the key. Options.NotFound replaces it.
var ErrNotFound = errors.New("not found")

// Key is what entries are found by: something that instances can name to one
// another as text.
type Key interface {
	~string | ~int | ~int32 | ~int64 | ~uint32 | ~uint64
}

// Options says what a cache keeps and for how long. Only Name is required.
type Options[K Key, V any] struct {
	// Name tells caches of one process apart in metrics, and is the same on all
	// instances that share invalidations.
	Name string
	// Max bounds the cache: the number of entries, or with Cost the sum of
	// their costs. 0 means 10,000.
	Max int
	// Cost is what an entry costs, for instance its bytes. Nil means 1.
	Cost func(K, V) int

	// TTL is how long a value is fresh. 0 means one minute.
	TTL time.Duration
	// NegativeTTL is how long a not-found answer is remembered. 0 means a tenth
	// of TTL; less than 0: it isn't.
	NegativeTTL time.Duration
	// Jitter is the share of its life that an entry may lose by chance, so that
	// entries loaded together don't expire together. 0 means 0.1; less than 0:
	// none.
	Jitter float64
	// StaleIfError is for how long an expired value may stand in when its load
	// goes wrong. 0 means never.
	StaleIfError time.Duration
	// LoadTimeout bounds a load, which doesn't end with its caller. 0 means 10 s.
	LoadTimeout time.Duration
	// NotFound says whether a load's error means that there is nothing under
	// the key. Nil means errors.Is(err, ErrNotFound).
	NotFound func(error) bool

	// Metrics gets the warren_cache_* metrics. Nil means none.
	Metrics prometheus.Registerer
	// Invalidator tells the other instances. Nil means there are none.
	Invalidator Invalidator
}

// Invalidator carries invalidations between the instances of a service. Its
// methods may be called concurrently.
type Invalidator interface {
	// Publish tells every other instance that these keys of the cache changed;
	// no keys means all of them.
	Publish(ctx context.Context, cache string, keys []string) error
	// Subscribe calls changed with what other instances published, and with no
	// keys when messages may have been missed, until stop is called.
	Subscribe(cache string, changed func(keys []string)) (stop func())
}

// Cache keeps values of V by K. It is safe for concurrent use.
type Cache[K Key, V any] struct {
	opts    Options[K, V]
	entries *otter.Cache[K, entry[V]]
	started time.Time
	metrics *metrics
	stop    func() // ends the subscription

	ctx    context.Context // ends loads in flight with Close
	cancel context.CancelFunc

	// mu orders loads and invalidations: entries are written under it, read
	// without it.
	mu      sync.Mutex
	flights map[K]*flight[V]
}

// entry is a value, or the not-found error of a load. The times are counted
// from the cache's start by the monotonic clock.
type entry[V any] struct {
	value   V
	err     error
	expires time.Duration
	stale   time.Duration // until when it may stand in for a failed load
}

// New returns an empty cache.
func New[K Key, V any](opts Options[K, V]) (*Cache[K, V], error) {
	if err := opts.check(); err != nil {
		return nil, fmt.Errorf("open cache %q: %w", opts.Name, err)
	}
	opts.setDefaults()
	c := &Cache[K, V]{opts: opts, started: time.Now(), flights: make(map[K]*flight[V])}
	c.metrics = newMetrics(opts.Name, c.Len)
	storage := &otter.Options[K, entry[V]]{StatsRecorder: c.metrics, Logger: &otter.NoopLogger{}}
	if opts.Cost == nil {
		storage.MaximumSize = opts.Max
	} else {
		storage.MaximumWeight = uint64(opts.Max)
		storage.Weigher = opts.cost
	}
	var err error
	if c.entries, err = otter.New(storage); err != nil {
		return nil, fmt.Errorf("open cache %q: %w", opts.Name, err)
	}
	if err := c.metrics.register(opts.Metrics); err != nil {
		return nil, fmt.Errorf("open cache %q: %w", opts.Name, err)
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.stop = func() {}
	if opts.Invalidator != nil {
		c.stop = opts.Invalidator.Subscribe(opts.Name, c.onRemote)
	}
	return c, nil
}

func (o *Options[K, V]) check() error {
	switch {
	case o.Name == "":
		return errors.New("it has no name")
	case o.Max < 0:
		return fmt.Errorf("max is %d; it must be positive", o.Max)
	case o.TTL < 0:
		return fmt.Errorf("ttl is %s; it must be positive", o.TTL)
	case o.Jitter > 1:
		return fmt.Errorf("jitter is %g; it is a share of the ttl, at most 1", o.Jitter)
	}
	return nil
}

func (o *Options[K, V]) setDefaults() {
	o.Max = cmp.Or(o.Max, 10_000)
	o.TTL = cmp.Or(o.TTL, time.Minute)
	o.NegativeTTL = cmp.Or(o.NegativeTTL, o.TTL/10)
	o.Jitter = cmp.Or(o.Jitter, 0.1)
	o.LoadTimeout = cmp.Or(o.LoadTimeout, 10*time.Second)
	if o.NotFound == nil {
		o.NotFound = func(err error) bool { return errors.Is(err, ErrNotFound) }
	}
}

// cost is what Cost says, at least 1: an entry for nothing would never be
// evicted. Errors cost 1.
func (o *Options[K, V]) cost(key K, e entry[V]) uint32 {
	if e.err != nil {
		return 1
	}
	return uint32(min(max(o.Cost(key, e.value), 1), math.MaxUint32))
}

// Len is how many entries the cache holds, about.
func (c *Cache[K, V]) Len() int { return c.entries.EstimatedSize() }

// Close ends the subscription to invalidations and the context of the loads in
// flight. The cache mustn't be used afterwards.
func (c *Cache[K, V]) Close() {
	c.stop()
	c.cancel()
	c.metrics.unregister()
}
