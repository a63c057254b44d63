package eventstest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/gowarren/warren/events/driver"
)

// Hub is a broker in memory, for tests of what publishes or subscribes: each Open
// is the connection of one process. Its faults happen on request only.
type Hub struct {
	mu      sync.Mutex
	down    bool
	life    int
	topics  map[string]*hubTopic
	changed chan struct{}
}

// lanes is how many messages of an ordered subscription are handled at once.
const lanes = 4

// maxSize is the largest payload that a hub takes.
const maxSize = 1 << 20

type hubTopic struct {
	lanes  [lanes][]driver.Message
	groups map[string]*hubGroup
}

// hubGroup is what a group has done, and is doing, in each lane.
type hubGroup struct {
	done    [lanes]map[int]bool
	running [lanes]map[int]bool
}

var errAway = errors.New("the hub is away")

// NewHub returns an empty hub.
func NewHub() *Hub {
	return &Hub{life: 1, topics: map[string]*hubTopic{}, changed: make(chan struct{})}
}

// Open returns the connection of one more process.
func (h *Hub) Open() *HubConn { return &HubConn{hub: h} }

// Stop takes the hub away from everybody.
func (h *Hub) Stop() { h.change(func() { h.down = true }) }

// Start brings the hub back, as another life.
func (h *Hub) Start() {
	h.change(func() {
		if h.down {
			h.down, h.life = false, h.life+1
		}
	})
}

// Lose forgets what the hub accepts while f runs, as a machine does that dies
// before it has written its files.
func (h *Hub) Lose(f func()) {
	h.mu.Lock()
	before := map[*hubTopic][lanes]int{}
	for _, t := range h.topics {
		var n [lanes]int
		for i := range n {
			n[i] = len(t.lanes[i])
		}
		before[t] = n
	}
	h.mu.Unlock()
	f()
	h.Stop()
	h.change(func() {
		for _, t := range h.topics {
			for i, n := range before[t] {
				t.lanes[i] = t.lanes[i][:n]
				for _, g := range t.groups {
					for at := range g.done[i] {
						if at >= n {
							delete(g.done[i], at)
						}
					}
				}
			}
		}
	})
	h.Start()
}

// change does something to the hub and tells everybody.
func (h *Hub) change(do func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	do()
	h.announce()
}

// announce wakes all subscriptions. The caller holds mu.
func (h *Hub) announce() {
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *Hub) topic(name string) *hubTopic {
	if h.topics[name] == nil {
		h.topics[name] = &hubTopic{groups: map[string]*hubGroup{}}
	}
	return h.topics[name]
}

func (t *hubTopic) group(name string) *hubGroup {
	g := t.groups[name]
	if g == nil {
		g = &hubGroup{}
		for i := range lanes {
			g.done[i], g.running[i] = map[int]bool{}, map[int]bool{}
		}
		t.groups[name] = g
	}
	return g
}

// HubConn is a driver: the connection of one process to a [Hub].
type HubConn struct {
	hub *Hub
	cut bool // guarded by hub.mu
}

// Cut takes the hub away from this process only.
func (c *HubConn) Cut() { c.hub.change(func() { c.cut = true }) }

// Heal ends Cut.
func (c *HubConn) Heal() { c.hub.change(func() { c.cut = false }) }

// Capabilities implements driver.Driver.
func (c *HubConn) Capabilities() driver.Capabilities {
	return driver.Capabilities{System: "hub", Unsynced: time.Second, Replay: time.Hour, FromStart: true, MaxSize: maxSize}
}

// Publish implements driver.Driver.
func (c *HubConn) Publish(ctx context.Context, batch []driver.Message) []error {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	errs := make([]error, len(batch))
	for i, m := range batch {
		switch {
		case c.hub.down || c.cut:
			errs[i] = errAway
		case len(m.Payload) > maxSize:
			errs[i] = fmt.Errorf("%w: it has %d bytes", driver.ErrRefused, len(m.Payload))
		default:
			t, lane := c.hub.topic(m.Topic), driver.Partition(m, lanes)
			t.lanes[lane] = append(t.lanes[lane], m)
		}
	}
	c.hub.announce()
	return errs
}

// Incarnation implements driver.Driver.
func (c *HubConn) Incarnation() string {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	if c.hub.down || c.cut {
		return ""
	}
	return strconv.Itoa(c.hub.life)
}

// Lag implements driver.Driver.
func (c *HubConn) Lag(_ context.Context, topic, group string) (int64, error) {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	var lag int64
	t := c.hub.topic(topic)
	for i := range lanes {
		lag += int64(len(t.lanes[i]) - len(t.group(group).done[i]))
	}
	return lag, nil
}

// Subscribe implements driver.Driver.
func (c *HubConn) Subscribe(ctx context.Context, s driver.Subscription, handle func(driver.Message) error) error {
	var running sync.WaitGroup
	defer running.Wait()
	free := make(chan struct{}, max(1, s.Concurrency))
	for {
		select {
		case free <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		for {
			m, done, changed, err := c.next(s)
			if err != nil {
				return err
			}
			if done != nil {
				running.Go(func() {
					done(handle(m))
					<-free
				})
				break
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// next takes a message that nobody handles. Its done tells the hub how it went.
func (c *HubConn) next(s driver.Subscription) (m driver.Message, done func(error), changed <-chan struct{}, err error) {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	if c.hub.down || c.cut {
		return m, nil, nil, errAway
	}
	t := c.hub.topic(s.Topic)
	g := t.group(s.Group)
	for lane := range lanes {
		if s.Ordered && len(g.running[lane]) > 0 {
			continue
		}
		at := -1
		for i := range t.lanes[lane] {
			if !g.done[lane][i] && !g.running[lane][i] {
				at = i
				break
			}
		}
		if at < 0 {
			continue
		}
		g.running[lane][at] = true
		life := c.hub.life
		return t.lanes[lane][at], func(problem error) { c.settle(g, lane, at, life, problem) }, nil, nil
	}
	return m, nil, c.hub.changed, nil
}

func (c *HubConn) settle(g *hubGroup, lane, at, life int, problem error) {
	c.hub.change(func() {
		delete(g.running[lane], at)
		// What is said to a hub that has died, or over a line that is cut, is lost.
		if problem == nil && !c.hub.down && !c.cut && life == c.hub.life {
			g.done[lane][at] = true
		}
	})
}

// Close implements driver.Driver.
func (c *HubConn) Close() error { return nil }
