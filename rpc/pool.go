package rpc

import (
	"context"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/registry"
)

// remembered is how long the statistics of an instance that left are kept: it
// may have left by mistake.
const remembered = 5 * time.Minute

// pool knows the instances and keeps one connection to each whose contracts
// are used. Its lock is never taken on the path of a call: calls read views.
type pool struct {
	client    *Client
	ctx       context.Context
	keepalive *config.Value[time.Duration]
	message   *config.Value[int]

	mu        sync.Mutex
	closed    bool
	instances map[instanceKey]*instance // those that take calls
	stats     map[instanceKey]*stats    // and those of instances that left lately
	left      map[instanceKey]int64     // when
	leaving   map[*instance]struct{}    // out of the list, busy with their last calls
	targets   map[string]*target
}

func newPool(ctx context.Context, c *Client) *pool {
	return &pool{
		client: c, ctx: ctx,
		keepalive: config.Watch(c.opts.Settings, settingKeepalive, config.Scope{}),
		message:   config.Watch(c.opts.Settings, settingMessageMax, config.Scope{}),
		instances: map[instanceKey]*instance{},
		stats:     map[instanceKey]*stats{},
		left:      map[instanceKey]int64{},
		leaving:   map[*instance]struct{}{},
		targets:   map[string]*target{},
	}
}

// update takes over a list. What stays keeps its connection; what drains or is
// gone gets no new calls, and is disconnected after its last.
func (p *pool) update(list []registry.Instance) {
	for _, in := range p.apply(list) {
		in.release() // without the lock: the last reference takes it
	}
}

// apply returns the instances that the pool gives up.
func (p *pool) apply(list []registry.Instance) (given []*instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	now := p.client.now()
	listed := make(map[instanceKey]bool, len(list))
	for _, info := range list {
		if info.State != registry.Ready {
			continue
		}
		key := instanceKey{info.Service, info.ID}
		listed[key] = true
		if moved := p.take(key, info); moved != nil {
			given = append(given, moved)
		}
	}
	for key, in := range p.instances {
		if !listed[key] {
			p.remove(key, in)
			given = append(given, in)
			p.left[key] = now
		}
	}
	for key, at := range p.left {
		if now-at > int64(remembered) {
			delete(p.left, key)
			delete(p.stats, key)
		}
	}
	for _, t := range p.targets {
		p.rebuild(t)
	}
	return given
}

// take adds an instance, or what is new about it. It returns the one that it
// replaces if the instance has moved.
func (p *pool) take(key instanceKey, info registry.Instance) (moved *instance) {
	s := p.stats[key]
	if s == nil {
		s = newStats(info, p.client.logger)
		p.stats[key] = s
	}
	delete(p.left, key)
	s.node.SetWeight(weightOf(info))
	at := p.client.dialTarget(info)
	in := p.instances[key]
	if in != nil && in.dial != at { // moved: the same instance, elsewhere
		p.remove(key, in)
		in, moved = nil, in
	}
	if in == nil {
		in = &instance{key: key, dial: at, stats: s, pool: p}
		in.refs.Store(1)
		p.instances[key] = in
	}
	in.info = info
	return moved
}

// remove takes an instance from the list; its calls go on.
func (p *pool) remove(key instanceKey, in *instance) {
	delete(p.instances, key)
	p.leaving[in] = struct{}{}
}

// gone forgets an instance whose last call has ended, and closes it.
func (p *pool) gone(in *instance) {
	p.mu.Lock()
	delete(p.leaving, in)
	conn := in.conn
	p.mu.Unlock()
	if conn != nil {
		conn.Close()
	}
}

// changed makes the state of an instance's connection known to calls.
func (p *pool) changed(in *instance, state connectivity.State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	in.state = state
	p.rebuildFor(in)
}

// rebuildFor makes anew the views of all contracts that the instance serves.
func (p *pool) rebuildFor(in *instance) {
	for _, contract := range in.info.Contracts {
		if t := p.targets[contract]; t != nil {
			p.rebuild(t)
		}
	}
}

// close ends all connections at once.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	var conns []*grpc.ClientConn
	for in := range p.all() {
		if in.conn != nil {
			conns = append(conns, in.conn)
		}
	}
	targets := slices.Collect(maps.Values(p.targets))
	p.mu.Unlock()
	for _, t := range targets {
		t.follow.stop()
	}
	for _, conn := range conns {
		conn.Close()
	}
}

// all yields every instance that has a connection or may get one.
func (p *pool) all() iter.Seq[*instance] {
	return func(yield func(*instance) bool) {
		for _, in := range p.instances {
			if !yield(in) {
				return
			}
		}
		for in := range p.leaving {
			if !yield(in) {
				return
			}
		}
	}
}
