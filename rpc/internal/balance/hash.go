package balance

import "math"

// slack is how far above its fair share of the calls in flight a node may be
// loaded before its keys go to the next one.
const slack = 1.25

// hashed is rendezvous hashing with bounded loads: every node has a score for
// the key, the highest that has room wins. When a node leaves, only its keys
// move; when it is overloaded, its keys spread over all others. It needs no
// ring to be built, and a list of instances is short.
func hashed(nodes []*Node, key uint64) int {
	var inFlight, weights int64
	for _, n := range nodes {
		inFlight += n.InFlight()
		weights += n.Weight()
	}
	perWeight := slack * float64(inFlight+1) / float64(weights)
	best, most := -1, math.Inf(-1)
	for i, n := range nodes {
		room := float64(n.InFlight()) < math.Ceil(perWeight*float64(n.Weight()))
		if s := score(n, key); room && s > most {
			best, most = i, s
		}
	}
	if best < 0 { // counters moved while we read them
		return leastRequest(nodes)
	}
	return best
}

// score is the node's claim to the key. Dividing the weight by the logarithm
// gives each node a share of the keys in proportion to its weight.
func score(n *Node, key uint64) float64 {
	unit := (float64(mix(n.hash^key)>>11) + 0.5) / (1 << 53)
	return -float64(n.Weight()) / math.Log(unit)
}
