package registrytest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/gowarren/warren/registry/driver"
)

// Hub is a registry in memory, for tests of what uses a registry: each Open is
// the connection of one process. Its faults happen on request only, so it also
// works in a synctest bubble.
type Hub struct {
	mu       sync.Mutex
	down     bool
	revision int64
	entries  map[driver.Key]entry
	conns    map[*HubConn]struct{}
}

type entry struct {
	instance driver.Instance
	owner    *hubSession
}

type hubSession struct{ lost chan struct{} }

var errAway = errors.New("the hub is away")

// NewHub returns an empty hub.
func NewHub() *Hub {
	return &Hub{entries: map[driver.Key]entry{}, conns: map[*HubConn]struct{}{}}
}

// Open returns the connection of one more process.
func (h *Hub) Open() *HubConn {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := &HubConn{hub: h, changed: make(chan struct{})}
	h.conns[c] = struct{}{}
	return c
}

// Stop takes the hub away from everybody; sessions stand until Lapse.
func (h *Hub) Stop() { h.setDown(true) }

// Start brings the hub back.
func (h *Hub) Start() { h.setDown(false) }

func (h *Hub) setDown(down bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.down = down
	h.announceChange()
}

// Lapse ends every session: all instances expire at once.
func (h *Hub) Lapse() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.conns {
		c.lapse()
	}
}

// Wipe makes the hub forget everything: sessions, instances, its count of changes.
func (h *Hub) Wipe() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.entries)
	for c := range h.conns {
		c.lapse()
	}
	h.revision = 0
}

// announceChange wakes all watches. The caller holds mu.
func (h *Hub) announceChange() {
	h.revision++
	for c := range h.conns {
		close(c.changed)
		c.changed = make(chan struct{})
	}
}

// delete removes an entry and tells every watch if that was on purpose. The
// caller holds mu.
func (h *Hub) delete(key driver.Key) {
	if h.entries[key].instance.State == driver.Draining {
		for c := range h.conns {
			c.withdrawn = append(c.withdrawn, key)
		}
	}
	delete(h.entries, key)
}

// HubConn is a driver: the connection of one process to a [Hub].
type HubConn struct {
	hub *Hub

	// Guarded by hub.mu.
	cut       bool
	session   *hubSession
	changed   chan struct{}
	withdrawn []driver.Key
}

// Cut takes the hub away from this process only.
func (c *HubConn) Cut() { c.setCut(true) }

// Swallow is the same as Cut: the hub knows no silence.
func (c *HubConn) Swallow() { c.setCut(true) }

// Heal ends Cut.
func (c *HubConn) Heal() { c.setCut(false) }

func (c *HubConn) setCut(cut bool) {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	c.cut = cut
	c.hub.announceChange()
}

// Expire ends the session of this process.
func (c *HubConn) Expire() {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	c.lapse()
}

// lapse ends the session. The caller holds hub.mu.
func (c *HubConn) lapse() {
	if c.session == nil {
		return
	}
	for key, e := range c.hub.entries {
		if e.owner == c.session {
			c.hub.delete(key)
		}
	}
	select {
	case <-c.session.lost:
	default:
		close(c.session.lost)
	}
	c.hub.announceChange()
}

// Put implements driver.Driver.
func (c *HubConn) Put(ctx context.Context, instance driver.Instance) error {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	if c.hub.down || c.cut {
		return errors.Join(errAway, ctx.Err())
	}
	if c.session == nil || ended(c.session.lost) {
		c.session = &hubSession{lost: make(chan struct{})}
	}
	c.hub.entries[instance.Key()] = entry{instance, c.session}
	c.hub.announceChange()
	return nil
}

// Remove implements driver.Driver.
func (c *HubConn) Remove(ctx context.Context, service, id string) error {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	if c.hub.down || c.cut {
		return errors.Join(errAway, ctx.Err())
	}
	key := driver.Key{Service: service, ID: id}
	if e, ok := c.hub.entries[key]; ok && e.owner == c.session {
		c.hub.delete(key)
		c.hub.announceChange()
	}
	return nil
}

// Lost implements driver.Driver.
func (c *HubConn) Lost() <-chan struct{} {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	if c.session == nil {
		return nil
	}
	return c.session.lost
}

// Watch implements driver.Driver.
func (c *HubConn) Watch(ctx context.Context, emit func(driver.Snapshot)) error {
	for {
		snapshot, changed, err := c.look()
		if err != nil {
			return err
		}
		emit(snapshot)
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *HubConn) look() (driver.Snapshot, <-chan struct{}, error) {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	if c.hub.down || c.cut {
		return driver.Snapshot{}, nil, errAway
	}
	snapshot := driver.Snapshot{Revision: c.hub.revision, Withdrawn: c.withdrawn}
	c.withdrawn = nil
	for _, key := range slices.Collect(maps.Keys(c.hub.entries)) {
		snapshot.Instances = append(snapshot.Instances, c.hub.entries[key].instance)
	}
	return snapshot, c.changed, nil
}

// Capabilities implements driver.Driver.
func (c *HubConn) Capabilities() driver.Capabilities {
	return driver.Capabilities{Announce: true, Expiry: true, Live: true}
}

// Close implements driver.Driver.
func (c *HubConn) Close() error {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	c.lapse()
	delete(c.hub.conns, c)
	return nil
}

func ended(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
