package coordinator

import (
	"strings"
	"sync"

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
}

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
		one = &gate{limit: config.Watch(g.engine.opts.Settings, settingConcurrency, config.Scope{Service: contract})}
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

// enter runs f, in a goroutine of its own, as soon as there is room.
func (g *gate) enter(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running >= g.limit.Get() {
		g.queue = append(g.queue, f)
		return
	}
	g.running++
	go g.run(f)
}

func (g *gate) run(f func()) {
	for f != nil {
		f()
		g.mu.Lock()
		f = nil
		if len(g.queue) > 0 && g.running <= g.limit.Get() {
			f, g.queue = g.queue[0], g.queue[1:]
		} else {
			g.running--
		}
		g.mu.Unlock()
	}
}
