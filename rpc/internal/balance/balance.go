package balance

import (
	"math/rand/v2"
	"sync"
)

// Kind names a way to balance.
type Kind string

// The ways to balance.
const (
	P2C          Kind = "p2c"           // power of two choices over latency and load
	RoundRobin   Kind = "round_robin"   // smooth, weighted
	LeastRequest Kind = "least_request" // the fewest calls in flight, by weight
	HashKey      Kind = "hash"          // by the call's key, with bounded loads
)

// Kinds returns every way to balance, the default first.
func Kinds() []string {
	return []string{string(P2C), string(RoundRobin), string(LeastRequest), string(HashKey)}
}

// Picker chooses among the nodes of one contract. It is safe for concurrent use.
type Picker struct {
	mu      sync.Mutex
	current map[*Node]int64 // state of the smooth weighted round robin
}

// Pick returns the index of the node that gets the next call. There must be at
// least one node. A key of zero stands for a call without one.
func (p *Picker) Pick(kind Kind, nodes []*Node, key uint64, now int64) int {
	if len(nodes) == 1 {
		return 0
	}
	switch kind {
	case RoundRobin:
		return p.roundRobin(nodes)
	case LeastRequest:
		return leastRequest(nodes)
	case HashKey:
		if key != 0 {
			return hashed(nodes, key)
		}
	}
	return twoChoices(nodes, now)
}

// twoChoices compares two nodes chosen at random: nearly as good as comparing
// all, and callers that share stale knowledge don't all run to the same one.
func twoChoices(nodes []*Node, now int64) int {
	a, b := rand.IntN(len(nodes)), rand.IntN(len(nodes)-1)
	if b >= a {
		b++
	}
	if nodes[b].cost(now) < nodes[a].cost(now) {
		return b
	}
	return a
}

// leastRequest starts anywhere, so that equals share.
func leastRequest(nodes []*Node) int {
	start := rand.IntN(len(nodes))
	best, load := start, nodes[start].load()
	for i := 1; i < len(nodes); i++ {
		at := (start + i) % len(nodes)
		if l := nodes[at].load(); l < load {
			best, load = at, l
		}
	}
	return best
}

// roundRobin is nginx's smooth weighted round robin: every node gains its
// weight, the richest is chosen and pays for all.
func (p *Picker) roundRobin(nodes []*Node) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil || len(p.current) > 4*len(nodes)+16 {
		p.current = make(map[*Node]int64, len(nodes)) // nodes that left are forgotten
	}
	var total, most int64
	best := -1
	for i, n := range nodes {
		gained := p.current[n] + n.Weight()
		p.current[n] = gained
		total += n.Weight()
		if best < 0 || gained > most {
			best, most = i, gained
		}
	}
	p.current[nodes[best]] -= total
	return best
}
