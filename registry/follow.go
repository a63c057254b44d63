package registry

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gowarren/warren/registry/driver"
)

// patience is how long a start waits for the engine before it believes the
// snapshot on disk.
const patience = 500 * time.Millisecond

// inbox holds what the engine said since it was last emptied: only the last
// set counts, but everything that was withdrawn on the way.
type inbox struct {
	signal chan struct{}

	mu        sync.Mutex
	set       *driver.Snapshot
	withdrawn []driver.Key
	stale     bool
}

func (b *inbox) put(s driver.Snapshot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.set, b.stale = &s, false
	b.withdrawn = append(b.withdrawn, s.Withdrawn...)
	notify(b.signal)
}

func (b *inbox) lose() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stale = true
	notify(b.signal)
}

// take empties the inbox. The set is nil when the engine said nothing new.
func (b *inbox) take() (set *driver.Snapshot, stale bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	set = b.set
	if set != nil {
		set.Withdrawn = b.withdrawn
	}
	b.set, b.withdrawn = nil, nil
	select {
	case <-b.signal:
	default:
	}
	return set, b.stale
}

// follow keeps one watch open for ever.
func (r *Registry) follow(ctx context.Context) {
	retry := backoff{max: r.opts.RetryMax}
	for {
		emitted, began := false, time.Now()
		err := r.driver.Watch(ctx, func(s driver.Snapshot) {
			if !emitted {
				emitted = true
				r.outage.over("watch")
			}
			r.inbox.put(s)
		})
		if ctx.Err() != nil {
			return
		}
		if !emitted {
			r.outage.began("watch", err)
			r.inbox.lose()
		}
		// A watch that worked for a while is opened again at once: compaction
		// and a lost stream are no outage unless that fails, too.
		if emitted && time.Since(began) > r.opts.RetryMax {
			retry.reset()
			continue
		}
		if !retry.wait(ctx) {
			return
		}
	}
}

// collect turns what the engine says into snapshots.
func (r *Registry) collect(ctx context.Context) {
	policy := newPanicPolicy(r.opts)
	defer policy.onChange(func() { notify(r.inbox.signal) })()
	c := &collector{Registry: r, view: newView(policy, r.driver.Capabilities().Expiry), window: r.opts.Coalesce}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.inbox.signal:
			if !c.coalesce(ctx) {
				return
			}
		case <-timer.C:
		}
		if until := c.publish(); until.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(until))
		}
	}
}

type collector struct {
	*Registry
	view   *view
	window time.Duration
	last   time.Time // of the last snapshot
	// heard: the engine has spoken, or the disk in its place.
	heard      bool
	remembered bool
	revision   int64
	refused    map[string]bool
}

// coalesce waits for more changes. Only the first set is passed on at once,
// for a start should not take longer than it must.
func (c *collector) coalesce(ctx context.Context) bool {
	if !c.heard {
		return true
	}
	if time.Since(c.last) < c.window {
		c.window = min(2*c.window, 4*c.opts.Coalesce)
	} else {
		c.window = c.opts.Coalesce
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(c.window):
		return true
	}
}

// publish makes the next snapshot, and returns when to make another one even
// if the engine says nothing (zero: never).
func (c *collector) publish() (until time.Time) {
	now := time.Now()
	set, stale := c.inbox.take()
	switch {
	case set != nil:
		c.heard, c.revision = true, set.Revision
		c.reportRefused(set.Refused)
		held := len(c.view.held)
		if c.view.apply(*set, now) {
			c.reportPanic(held > 0)
		}
		c.announcer.confirm(c.view.live)
	case !c.heard:
		// The engine is away, or slow: what was known when this process last
		// ran is better than nothing.
		saved := c.remember()
		if saved == nil {
			return time.Time{}
		}
		c.heard, c.revision, stale = true, saved.Revision, true
		c.view.apply(driver.Snapshot{Instances: saved.Instances, Revision: saved.Revision}, now)
	}
	stale = stale || set == nil && c.current.Load().Stale
	instances, until, dropped := c.view.instances(now)
	if dropped > 0 {
		c.opts.Logger.Warn("suspects did not come back and are given up", "suspects", dropped)
	}
	c.show(instances, stale)
	c.last = now
	return until
}

// remember returns what stands on disk, once.
func (c *collector) remember() *savedSnapshot {
	if c.remembered {
		return nil
	}
	c.remembered = true
	saved, err := c.saver.load()
	if err != nil {
		c.opts.Logger.Warn("the registry's snapshot on disk is not usable", "error", err)
	}
	return saved
}

func (c *collector) show(instances []Instance, stale bool) {
	snapshot, changed := c.current.Load().next(instances, c.revision, stale)
	c.current.Store(snapshot)
	select {
	case <-c.known:
	default:
		close(c.known)
		changed = true
	}
	if !changed {
		return
	}
	c.metrics.show(snapshot)
	if !stale {
		notify(c.saver.wake)
	}
	c.tell()
}

// reportPanic logs the first of the suspects: leases end one by one, and are one event.
func (c *collector) reportPanic(reported bool) {
	c.metrics.panics.Inc()
	if reported || c.current.Load().Stale {
		return // after an outage it is expected, and the outage has its own two lines
	}
	c.opts.Logger.Warn("most instances left the registry at once; they are kept as suspects",
		"suspects", len(c.view.held), "live", len(c.view.live), "hold", c.view.panic.hold.Get())
}

// reportRefused logs each unreadable entry once, for as long as it stays.
func (c *collector) reportRefused(refused map[string]error) {
	seen := make(map[string]bool, len(refused))
	for place, err := range refused {
		seen[place] = true
		if !c.refused[place] {
			c.opts.Logger.Warn("an entry in the registry is not readable and is left out", "entry", place, "error", err)
		}
	}
	c.refused = seen
}

func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// backoff doubles from 100 ms up to max, with jitter, so that the processes of
// a system do not return to a recovering registry in step.
type backoff struct {
	max  time.Duration
	next time.Duration
}

func (b *backoff) reset() { b.next = 0 }

func (b *backoff) delay() time.Duration {
	b.next = min(max(2*b.next, 100*time.Millisecond), b.max)
	return b.next/2 + rand.N(b.next/2+1)
}

func (b *backoff) wait(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(b.delay()):
		return true
	}
}
