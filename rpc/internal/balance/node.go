// Package balance chooses among the instances of a contract: by power of two
// choices over latency and load, by weight, by the fewest calls, or by a key.
package balance

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	// decay is the time after which a latency seen counts for a third.
	decay = 3 * time.Second
	// penalty is the cost of an instance that has calls in flight and has not
	// answered one yet: it is neither trusted nor starved.
	penalty = float64(10 * time.Second)
)

// Node is what is known of one instance. It outlives changes of the list of
// instances, so that nothing is learned twice. It is safe for concurrent use.
type Node struct {
	hash     uint64
	weight   atomic.Int64
	inFlight atomic.Int64
	ewma     atomic.Uint64 // float64 bits, nanoseconds; 0: nothing seen yet
	seen     atomic.Int64  // when ewma was last updated
}

// NewNode returns the node of the instance with the id given.
func NewNode(id string, weight int) *Node {
	n := &Node{hash: Hash(id)}
	n.SetWeight(weight)
	return n
}

// Hash is the hash of ids and keys: the same in every process, so that all
// callers agree where a key belongs. It is FNV-1a with a finishing mix.
func Hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return mix(h)
}

// mix spreads every bit over the whole word (the finisher of MurmurHash3).
func mix(h uint64) uint64 {
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// SetWeight changes the instance's share. Weights below one count as one.
func (n *Node) SetWeight(weight int) { n.weight.Store(int64(max(1, weight))) }

// Weight returns the instance's share.
func (n *Node) Weight() int64 { return n.weight.Load() }

// InFlight returns how many calls the instance has not answered yet.
func (n *Node) InFlight() int64 { return n.inFlight.Load() }

// Begin counts a call that is about to be sent.
func (n *Node) Begin() { n.inFlight.Add(1) }

// End counts a call that is over, whatever came of it.
func (n *Node) End() { n.inFlight.Add(-1) }

// Observe learns how long an answer took. A latency above the average counts
// at once, one below only with time: an instance that slows down is noticed
// with its first slow answer.
func (n *Node) Observe(latency time.Duration, now int64) {
	for {
		old := n.ewma.Load()
		next := math.Float64bits(average(math.Float64frombits(old), float64(latency), now-n.seen.Load()))
		if n.ewma.CompareAndSwap(old, next) {
			n.seen.Store(now)
			return
		}
	}
}

func average(old, latency float64, age int64) float64 {
	if old == 0 || latency > old {
		return max(latency, 1)
	}
	w := math.Exp(-float64(max(age, 0)) / float64(decay))
	return max(old*w+latency*(1-w), 1)
}

// Latency returns the average latency as it counts now: what was seen long ago
// is forgotten, so that an instance that was slow gets another chance.
func (n *Node) Latency(now int64) time.Duration {
	return time.Duration(n.latency(now))
}

func (n *Node) latency(now int64) float64 {
	seen := math.Float64frombits(n.ewma.Load())
	age := now - n.seen.Load()
	if seen == 0 || age < int64(10*time.Millisecond) {
		return seen // not worth an exponential
	}
	return seen * math.Exp(-float64(age)/float64(decay))
}

// cost is what one more call to the instance is expected to cost. Latency
// counts by its root: ten times slower is avoided, but not for one slow answer
// left alone while others queue.
func (n *Node) cost(now int64) float64 {
	inFlight := float64(n.inFlight.Load())
	latency := n.latency(now)
	if latency == 0 && inFlight > 0 {
		return math.Sqrt(penalty) * inFlight
	}
	return math.Sqrt(latency) * (inFlight + 1) / float64(n.weight.Load())
}

// load is the number of calls in flight, by weight, if it got one more.
func (n *Node) load() float64 {
	return float64(n.inFlight.Load()+1) / float64(n.weight.Load())
}
