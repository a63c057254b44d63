package registry

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gowarren/warren/registry/driver"
)

// attempt bounds one exchange with the engine.
const attempt = 3 * time.Second

// announcer keeps what this process announced in the engine.
type announcer struct {
	driver  driver.Driver
	retry   backoff
	outage  *outage
	metrics *metrics
	wake    chan struct{}
	// turn is held during Put and Remove: a driver is asked one at a time.
	turn chan struct{}

	// returns counts how often what was lost was put again; returned tells it.
	returns  atomic.Int64
	returned func()

	mu   sync.Mutex
	all  map[driver.Key]*Announcement
	lost bool // the engine dropped something that it does not hold again yet
}

var errSessionLost = errors.New("the session has ended, and with it the registration")

func newAnnouncer(d driver.Driver, retryMax time.Duration, o *outage, m *metrics, returned func()) *announcer {
	return &announcer{
		driver: d, retry: backoff{max: retryMax}, outage: o, metrics: m, returned: returned,
		wake: make(chan struct{}, 1), turn: make(chan struct{}, 1),
		all: map[driver.Key]*Announcement{},
	}
}

func (k *announcer) add(instance Instance) (*Announcement, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all[instance.Key()] != nil {
		return nil, fmt.Errorf("announce instance %q of service %q: this process has announced it already", instance.ID, instance.Service)
	}
	a := &Announcement{keeper: k, want: instance, settled: make(chan struct{})}
	k.all[instance.Key()] = a
	k.supersede(a)
	return a, nil
}

// supersede makes a's instance one that the engine does not hold yet. The
// caller holds mu.
func (k *announcer) supersede(a *Announcement) {
	a.version++
	if !k.driver.Capabilities().Announce {
		a.applied = a.version // others list the instances
		return
	}
	notify(k.wake)
}

// forget ends the care for a. The caller holds mu.
func (k *announcer) forget(a *Announcement) {
	if k.all[a.want.Key()] == a {
		delete(k.all, a.want.Key())
	}
	k.settle(a)
	k.count()
}

func (k *announcer) settle(a *Announcement) {
	close(a.settled)
	a.settled = make(chan struct{})
}

// run puts whatever the engine does not hold, for ever.
func (k *announcer) run(ctx context.Context) {
	var lost <-chan struct{}
	var again <-chan time.Time
	var since time.Time // of the last success
	failing := false
	delay := func() time.Duration {
		// A session that never lasts must not become a busy loop.
		if !failing && time.Since(since) > k.retry.max {
			k.retry.reset()
		}
		failing = true
		return k.retry.delay()
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		case <-again:
		case <-lost:
			k.outage.began("announce", errSessionLost)
			k.unregister(anyOf)
			lost, again = nil, time.After(delay())
			continue
		}
		again = nil
		err := k.putAll(ctx)
		if ctx.Err() != nil {
			return
		}
		lost = k.driver.Lost()
		if err == nil {
			k.outage.over("announce")
			since, failing = time.Now(), false
			k.back()
			continue
		}
		k.outage.began("announce", err)
		again = time.After(delay())
		if ended(lost) {
			k.unregister(anyOf)
			lost = nil
		}
	}
}

// back tells that all is in the engine again, if it was not.
func (k *announcer) back() {
	k.mu.Lock()
	was := k.lost
	k.lost = false
	for _, a := range k.all {
		k.lost = k.lost || was && a.applied == 0 && a.attempted // lost once more meanwhile
	}
	still := k.lost
	k.mu.Unlock()
	if was && !still {
		k.returns.Add(1)
		k.returned()
	}
}

func anyOf(*Announcement) bool { return true }

func ended(session <-chan struct{}) bool {
	select {
	case <-session:
		return true
	default:
		return false
	}
}

// unregister notes that the engine no longer holds some of what was put.
func (k *announcer) unregister(which func(*Announcement) bool) (some bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, a := range k.all {
		if a.applied > 0 && which(a) {
			a.applied, some, k.lost = 0, true, true
			k.metrics.reregistrations.Inc()
		}
	}
	k.count()
	return some
}

// confirm compares what was put with what the engine shows: somebody may have
// deleted it, or the engine may have come back from an older state.
func (k *announcer) confirm(live map[driver.Key]Instance) {
	if !k.driver.Capabilities().Announce {
		return
	}
	missing := func(a *Announcement) bool {
		_, ok := live[a.want.Key()]
		return !ok
	}
	if k.unregister(missing) {
		notify(k.wake)
	}
}

func (k *announcer) putAll(ctx context.Context) error {
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	var errs []error
	for _, a := range k.pending() {
		errs = append(errs, k.put(ctx, a))
	}
	return errors.Join(errs...)
}

func (k *announcer) pending() (due []*Announcement) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, a := range k.all {
		if a.applied != a.version {
			due = append(due, a)
		}
	}
	return due
}

func (k *announcer) put(ctx context.Context, a *Announcement) error {
	k.mu.Lock()
	instance, version := a.want, a.version
	a.attempted = true
	withdrawn := a.withdrawn
	k.mu.Unlock()
	if withdrawn {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	if err := k.driver.Put(ctx, instance); err != nil {
		return fmt.Errorf("register instance %s: %w", instance.ID, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	a.applied = version
	if a.applied == a.version {
		k.settle(a)
	}
	k.count()
	return nil
}

// withdraw removes an instance that may be registered. The draining state is
// written first, even for a moment: it tells a removal from an expiry.
func (k *announcer) withdraw(ctx context.Context, instance Instance) error {
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return fmt.Errorf("withdraw instance %s: %w", instance.ID, context.Cause(ctx))
	}
	instance.State = Draining
	if err := k.driver.Put(ctx, instance); err != nil {
		return fmt.Errorf("withdraw instance %s: mark it draining: %w", instance.ID, err)
	}
	if err := k.driver.Remove(ctx, instance.Service, instance.ID); err != nil {
		return fmt.Errorf("withdraw instance %s: %w", instance.ID, err)
	}
	return nil
}

// count updates the metric. The caller holds mu.
func (k *announcer) count() {
	registered := 0
	for _, a := range k.all {
		if a.applied > 0 {
			registered++
		}
	}
	k.metrics.registered.Set(float64(registered))
}
