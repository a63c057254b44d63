package rpc

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"

	"github.com/gowarren/warren/rpc/internal/balance"
)

// target is a contract as something to be called: who serves it, and what its
// methods share.
type target struct {
	name     string
	pool     *pool
	view     atomic.Pointer[view]
	picker   balance.Picker
	policy   atomic.Pointer[targetPolicy]
	budget   budget
	throttle throttle
	follow   *follower
}

// view is who can be called at one moment. It is immutable.
type view struct {
	preferred []*instance     // of the caller's zone if enough are; never empty unless usable is
	nodes     []*balance.Node // those of preferred
	usable    []*instance     // connected and not ejected
	known     int
	ejected   int
	expires   int64         // when an ejection ends; 0: none
	replaced  chan struct{} // closed when there is a newer view
}

// target returns the contract's state; the first question connects to its
// instances.
func (c *Client) target(contract string) (*target, error) {
	if known := c.targets.Load(); known != nil {
		if t := (*known)[contract]; t != nil {
			return t, nil
		}
	}
	return c.addTarget(contract)
}

func (c *Client) addTarget(contract string) (*target, error) {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	if t := c.pool.targets[contract]; t != nil {
		return t, nil
	}
	if c.pool.closed {
		return nil, errClosed()
	}
	if len(c.pool.targets) >= maxUnknown && !c.served(contract) {
		return nil, &Error{Code: codes.Unimplemented,
			Message: "too many contracts that nobody serves have been called"}
	}
	t := &target{name: contract, pool: c.pool}
	t.view.Store(&view{replaced: make(chan struct{})})
	t.follow = followTarget(c.opts.Settings, contract, &t.policy, t.policyChanged)
	t.budget.tokens.Store(int64(t.policy.Load().reserve * token))
	c.pool.targets[contract] = t
	c.pool.rebuild(t)
	known := maps.Clone(c.pool.targets)
	c.targets.Store(&known)
	return t, nil
}

// served reports whether an instance serves the contract; the pool's lock is
// held.
func (c *Client) served(contract string) bool {
	for _, in := range c.pool.instances {
		if slices.Contains(in.info.Contracts, contract) {
			return true
		}
	}
	return false
}

func (t *target) policyChanged() {
	t.pool.mu.Lock()
	defer t.pool.mu.Unlock()
	t.pool.rebuild(t)
}

// refresh makes the view anew when an ejection has ended.
func (t *target) refresh(now int64) *view {
	t.pool.mu.Lock()
	defer t.pool.mu.Unlock()
	if v := t.view.Load(); v.expires == 0 || now < v.expires {
		return v // somebody else was faster
	}
	t.pool.rebuild(t)
	return t.view.Load()
}

// rebuild makes the contract's view anew; the pool's lock is held.
func (p *pool) rebuild(t *target) {
	if p.closed {
		return
	}
	now := p.client.now()
	v := &view{replaced: make(chan struct{})}
	var zone, near int // of the own zone: known, usable
	var ejected []*instance
	for _, in := range p.serving(t.name) {
		v.known++
		own := in.info.Zone == p.client.opts.Zone
		if own {
			zone++
		}
		switch {
		case in.state != connectivity.Ready:
		case in.stats.outlier.ejected(now):
			ejected = append(ejected, in)
			if until := in.stats.outlier.until.Load(); v.expires == 0 || until < v.expires {
				v.expires = until
			}
		default:
			v.usable = append(v.usable, in)
			if own {
				near++
			}
		}
	}
	v.ejected = len(ejected)
	if len(v.usable) == 0 { // a bad instance is better than none
		v.usable = ejected
	}
	v.preferred = v.usable
	if t.policy.Load().zonePreferred && near > 0 && near < len(v.usable) && 2*near >= zone {
		v.preferred = slices.DeleteFunc(slices.Clone(v.usable), func(in *instance) bool {
			return in.info.Zone != p.client.opts.Zone
		})
	}
	for _, in := range v.preferred {
		v.nodes = append(v.nodes, in.stats.node)
	}
	close(t.view.Swap(v).replaced)
}

// serving returns the instances of a contract in a stable order, connected or
// about to be.
func (p *pool) serving(contract string) []*instance {
	var list []*instance
	for _, in := range p.instances {
		if !slices.Contains(in.info.Contracts, contract) {
			continue
		}
		if in.conn == nil {
			if err := p.connect(in); err != nil {
				p.client.logger.Error("instance can't be called", "instance", in.key.id, "address", in.dial, "error", err)
				continue
			}
		}
		list = append(list, in)
	}
	slices.SortFunc(list, func(a, b *instance) int {
		return strings.Compare(a.key.id+a.key.service, b.key.id+b.key.service)
	})
	return list
}

// acquire chooses an instance for one attempt and returns it, retained, with a
// permit of its breaker. Instances that were tried are chosen last. While none
// can be reached it waits, for as long as the policy says.
func (t *target) acquire(ctx context.Context, m *method, p *policy, tried []*instance) (*instance, *breaker, error) {
	var timeout <-chan time.Time
	service := serviceOf(ctx)
	for {
		now := t.pool.client.now()
		v := t.view.Load()
		if v.expires != 0 && now >= v.expires {
			v = t.refresh(now)
		}
		if service != "" {
			v = v.of(service)
		}
		in, b, refused := t.choose(ctx, v, m, p, tried, now)
		if in != nil {
			return in, b, nil
		}
		if refused {
			return nil, nil, m.breakerOpen(v, p)
		}
		if timeout == nil {
			timer := time.NewTimer(p.wait)
			defer timer.Stop()
			timeout = timer.C
		}
		select {
		case <-v.replaced:
		case <-timeout:
			return nil, nil, v.noInstance(t.name, service)
		case <-ctx.Done():
			if ctx.Err() == context.Canceled {
				return nil, nil, FromError(ctx.Err())
			}
			return nil, nil, v.noInstance(t.name, service)
		case <-t.pool.ctx.Done():
			return nil, nil, errClosed()
		}
	}
}

// choose returns an instance of the view, or whether breakers stand before all
// that can be reached.
func (t *target) choose(ctx context.Context, v *view, m *method, p *policy, tried []*instance, now int64) (_ *instance, _ *breaker, refused bool) {
	if len(v.preferred) == 0 {
		return nil, nil, false
	}
	var key uint64
	if p.balancer == balance.HashKey {
		if k := keyOf(ctx); k != "" {
			key = balance.Hash(k) | 1
		}
	}
	var skip []*instance
	if len(tried) == 0 {
		in := v.preferred[t.picker.Pick(p.balancer, v.nodes, key, now)]
		b, v := in.admit(m, p)
		if v == admitted {
			return in, b, false
		}
		skip, refused = append(skip, in), v == refusedByBreaker
	}
	// First those of the zone that were not tried, then all that were not,
	// then, for want of others, those that were.
	for _, pass := range [][]*instance{without(v.preferred, tried), without(v.usable, tried), v.usable} {
		for left := without(pass, skip); len(left) > 0; left = without(left, skip) {
			in := left[t.picker.Pick(p.balancer, nodesOf(left), key, now)]
			b, v := in.admit(m, p)
			if v == admitted {
				return in, b, false
			}
			skip, refused = append(skip, in), refused || v == refusedByBreaker
		}
	}
	return nil, nil, refused
}

// verdict is an instance's answer to whether it takes a call.
type verdict int

const (
	admitted verdict = iota
	unreachable
	refusedByBreaker
)

// admit retains the instance and takes a permit of its breaker.
func (in *instance) admit(m *method, p *policy) (*breaker, verdict) {
	if !in.ready() || !in.retain() {
		return nil, unreachable
	}
	b := in.stats.breaker(m, p.breaker)
	if !b.allow() {
		in.release()
		return nil, refusedByBreaker
	}
	return b, admitted
}

func without(list, skip []*instance) []*instance {
	if len(skip) == 0 {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(in *instance) bool { return slices.Contains(skip, in) })
}

func nodesOf(list []*instance) []*balance.Node {
	nodes := make([]*balance.Node, len(list))
	for i, in := range list {
		nodes[i] = in.stats.node
	}
	return nodes
}

// of returns the part of the view that is of one service.
func (v *view) of(service string) *view {
	others := func(in *instance) bool { return in.key.service != service }
	part := &view{replaced: v.replaced, expires: v.expires}
	part.usable = slices.DeleteFunc(slices.Clone(v.usable), others)
	part.preferred = slices.DeleteFunc(slices.Clone(v.preferred), others)
	if len(part.preferred) == 0 {
		part.preferred = part.usable
	}
	part.nodes = nodesOf(part.preferred)
	return part
}

func (v *view) noInstance(contract, service string) error {
	message := fmt.Sprintf("no instance of %s can be reached (%d known)", contract, v.known)
	if service != "" {
		message = fmt.Sprintf("no instance of service %q that serves %s can be reached", service, contract)
	}
	return &Error{Code: codes.Unavailable, Reason: "NO_INSTANCE", Domain: domain, RetryAfter: time.Second, Message: message}
}

func (m *method) breakerOpen(v *view, p *policy) error {
	return &Error{Code: codes.Unavailable, Reason: "BREAKER_OPEN", Domain: domain, RetryAfter: m.comeBack(v, p),
		Message: m.spanName + " fails on every instance and is given time to recover"}
}

// probing is after how long to come back while others try whether it works again.
const probing = 50 * time.Millisecond

// comeBack is after how long the first breaker lets calls through. It is drawn by
// chance, so that those who are told don't all come in one moment.
func (m *method) comeBack(v *view, p *policy) time.Duration {
	remaining := max(p.breaker.open, p.breaker.most)
	for _, in := range v.usable {
		remaining = min(remaining, max(0, in.stats.breaker(m, p.breaker).remaining()))
	}
	return remaining + probing + rand.N(probing+remaining/4)
}

func errClosed() error {
	return &Error{Code: codes.Canceled, Reason: "CANCELED", Domain: domain, Message: "the client is closed"}
}
