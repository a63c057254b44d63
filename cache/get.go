package cache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

// retryStale is how long a stale value that stood in for a failed load is
// served before the next load is tried: an origin in trouble isn't asked again
// for every request.
const retryStale = time.Second

// errGoexit is what waiters get from a load that ended its goroutine.
var errGoexit = errors.New("load ended its goroutine")

// flight is one load, and those who wait for it.
type flight[V any] struct {
	done  chan struct{} // closed when value, err and panic are set
	value V
	err   error
	panic *panicked
	// invalid says that the key changed after the load began: its value is
	// for those who asked before that, and isn't kept. Guarded by Cache.mu.
	invalid bool
}

// panicked is what a load's panic becomes for everybody who waited for it. It
// shows the stack of the load, which would be lost otherwise.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) String() string { return fmt.Sprintf("%v\n\nload's %s", p.value, p.stack) }

// Get returns what is kept under the key, or what load returns for it. All who
// ask for the key at the same time share one load, which keeps the values of
// the first one's context, but not its end; each waits until its own ctx ends.
// The error of a load that found nothing is kept like a value.
//
// Values are shared between callers: don't change what Get returns.
func (c *Cache[K, V]) Get(ctx context.Context, key K, load func(context.Context, K) (V, error)) (V, error) {
	if e, ok := c.entries.GetIfPresent(key); ok && c.now() < e.expires {
		return c.hit(e)
	}
	return c.miss(ctx, key, load)
}

func (c *Cache[K, V]) hit(e entry[V]) (V, error) {
	if e.err != nil {
		c.metrics.negatives.Inc()
	} else {
		c.metrics.hits.Inc()
	}
	return e.value, e.err
}

// miss joins the load in flight, or starts one.
func (c *Cache[K, V]) miss(ctx context.Context, key K, load func(context.Context, K) (V, error)) (V, error) {
	c.mu.Lock()
	old, ok := c.entries.GetIfPresent(key)
	if ok && c.now() < old.expires { // a load came in while we waited for the lock
		c.mu.Unlock()
		return c.hit(old)
	}
	f := c.flights[key]
	if f == nil {
		f = &flight[V]{done: make(chan struct{})}
		c.flights[key] = f
		go c.fly(context.WithoutCancel(ctx), f, key, load)
	}
	c.mu.Unlock()
	c.metrics.misses.Inc()
	select {
	case <-f.done:
	case <-ctx.Done():
		var none V
		return none, fmt.Errorf("wait for %s %v: %w", c.opts.Name, key, context.Cause(ctx))
	}
	if f.panic != nil {
		panic(f.panic)
	}
	return f.value, f.err
}

// fly runs the load and tells those who wait, whatever the load does.
func (c *Cache[K, V]) fly(ctx context.Context, f *flight[V], key K, load func(context.Context, K) (V, error)) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.LoadTimeout)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	start, returned := c.now(), false
	defer func() {
		if v := recover(); v != nil {
			f.panic = &panicked{v, debug.Stack()}
		} else if !returned {
			f.err = errGoexit
		}
		c.land(f, key, c.now()-start, returned)
	}()
	f.value, f.err = load(ctx, key)
	returned = true
}

// land keeps what the load brought, unless the key was invalidated meanwhile.
func (c *Cache[K, V]) land(f *flight[V], key K, took time.Duration, returned bool) {
	c.mu.Lock()
	now := c.now()
	switch {
	case !returned:
		c.metrics.loadErrors.Observe(took.Seconds())
	case f.err == nil:
		c.metrics.loads.Observe(took.Seconds())
		life := c.jittered(c.opts.TTL)
		c.keep(f, key, entry[V]{value: f.value, expires: now + life, stale: now + life + c.opts.StaleIfError})
	case c.opts.NotFound(f.err):
		c.metrics.loadsEmpty.Observe(took.Seconds())
		var none V
		f.value = none
		if c.opts.NegativeTTL > 0 {
			c.keep(f, key, entry[V]{err: f.err, expires: now + c.jittered(c.opts.NegativeTTL)})
		} else {
			c.forget(f, key)
		}
	default:
		c.metrics.loadErrors.Observe(took.Seconds())
		c.standIn(f, key, now)
	}
	if c.flights[key] == f {
		delete(c.flights, key)
	}
	c.mu.Unlock()
	close(f.done)
}

// standIn lets the expired value take the place of a failed load.
func (c *Cache[K, V]) standIn(f *flight[V], key K, now time.Duration) {
	old, ok := c.entries.GetIfPresent(key)
	if !ok || f.invalid || old.err != nil || now >= old.stale {
		return
	}
	f.value, f.err = old.value, nil
	c.metrics.stales.Inc()
	old.expires = min(now+retryStale, old.stale)
	c.entries.Set(key, old)
}

func (c *Cache[K, V]) keep(f *flight[V], key K, e entry[V]) {
	if !f.invalid {
		c.entries.Set(key, e)
	}
}

func (c *Cache[K, V]) forget(f *flight[V], key K) {
	if !f.invalid {
		c.entries.Invalidate(key)
	}
}

// jittered shortens a life by up to the share that Jitter says.
func (c *Cache[K, V]) jittered(life time.Duration) time.Duration {
	if c.opts.Jitter <= 0 {
		return life
	}
	return life - time.Duration(rand.Float64()*c.opts.Jitter*float64(life))
}

func (c *Cache[K, V]) now() time.Duration { return time.Since(c.started) }
