package coordinator

import (
	"strings"
	"sync"
	"time"

	"github.com/gowarren/warren/config"
)

// gates bound the calls that one contract gets at once, so that one that hangs
// holds up nobody but those who need it.
type gates struct {
	engine *Engine
	mu     sync.Mutex
	byName map[string]*gate
	policy map[string]*callPolicy
}

type gate struct {
	limit   *config.Value[int]
	mu      sync.Mutex
	running int
	queue   []func()
	spare   int         // goroutines that wait for work
	work    chan func() // nil: closed
}

// mostSpare is how many goroutines a gate keeps for the next calls. One made anew for
// a call begins with a small stack, and growing it to what gRPC needs is a tenth of
// what a call costs.
const mostSpare = 64

// spareTime is how long one waits for a next call before it goes.
const spareTime = 10 * time.Second

func newGates(e *Engine) *gates {
	return &gates{engine: e, byName: map[string]*gate{}, policy: map[string]*callPolicy{}}
}

// of returns the gate of a method's contract, and how the method is called.
func (g *gates) of(method string) (*gate, *callPolicy) {
	g.mu.Lock()
	defer g.mu.Unlock()
	contract, _, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	one := g.byName[contract]
	if one == nil {
		one = &gate{work: make(chan func(), mostSpare), limit: config.Watch(g.engine.opts.Settings, settingConcurrency, config.Scope{Service: contract})}
		g.byName[contract] = one
	}
	p := g.policy[method]
	if p == nil {
		made := watchCalls(g.engine.opts.Settings, config.Scope{Service: contract, Method: method})
		p = &made
		g.policy[method] = p
	}
	return one, p
}

// close lets the spare goroutines go. What enters later runs nevertheless.
func (g *gates) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, one := range g.byName {
		one.close()
	}
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.work != nil {
		close(g.work)
		g.work, g.spare = nil, 0
	}
}

// enter runs f, in a goroutine that has nothing else to do, as soon as there is room.
func (g *gate) enter(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.queue = append(g.queue, f)
	g.admit()
}

// admit begins what waits, for as long as there is room: more of it than one call
// left, when the limit was raised meanwhile.
func (g *gate) admit() {
	for len(g.queue) > 0 && g.running < g.limit.Get() {
		f := g.pop()
		if g.spare > 0 {
			g.spare--
			g.work <- f // has room: no more were sent than were spare
			continue
		}
		go g.run(f)
	}
}

// pop takes what has waited longest, as running.
func (g *gate) pop() func() {
	f := g.queue[0]
	g.queue[0] = nil // or it would be kept for as long as the array is
	g.queue = g.queue[1:]
	g.running++
	return f
}

func (g *gate) run(f func()) {
	idle := time.NewTimer(spareTime)
	defer idle.Stop()
	for f != nil {
		f()
		var more <-chan func()
		if f, more = g.next(); more != nil {
			idle.Reset(spareTime)
			select {
			case f = <-more:
			case <-idle.C:
				f = g.retire(more)
			}
		}
	}
}

// retire counts out a goroutine that has waited for long, unless there is work for it
// at this very moment.
func (g *gate) retire(more <-chan func()) func() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case f := <-more: // nil: the gate is closed
		return f
	default:
		g.spare--
		return nil
	}
}

// next is what waits, or else where to wait for work; neither of them when there
// are enough who do.
func (g *gate) next() (f func(), more <-chan func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running--
	if len(g.queue) > 0 && g.running < g.limit.Get() {
		f = g.pop()
		g.admit()
		return f, nil
	}
	if g.work == nil || g.spare == mostSpare {
		return nil, nil
	}
	g.spare++
	return nil, g.work
}
