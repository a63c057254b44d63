package balance

import (
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"
)

func newNodes(weights ...int) []*Node {
	nodes := make([]*Node, len(weights))
	for i, w := range weights {
		nodes[i] = NewNode(fmt.Sprintf("instance-%d", i), w)
	}
	return nodes
}

// share counts which nodes get n calls; each call ends before the next.
func share(t *testing.T, kind Kind, nodes []*Node, n int, key func(i int) uint64) []int {
	t.Helper()
	var p Picker
	got := make([]int, len(nodes))
	for i := range n {
		got[p.Pick(kind, nodes, key(i), 0)]++
	}
	return got
}

func noKey(int) uint64 { return 0 }

func TestTwoChoicesAvoidsTheSlow(t *testing.T) {
	nodes := newNodes(1, 1, 1)
	nodes[0].Observe(500*time.Millisecond, 0)
	nodes[1].Observe(time.Millisecond, 0)
	nodes[2].Observe(time.Millisecond, 0)
	if got := share(t, P2C, nodes, 3000, noKey); got[0] != 0 || got[1] < 1000 || got[2] < 1000 {
		t.Errorf("calls per node = %v, want none for the slow first one", got)
	}
}

func TestTwoChoicesTriesTheSlowAgain(t *testing.T) {
	n := NewNode("a", 1)
	n.Observe(time.Second, 0)
	if later := n.Latency(int64(time.Minute)); later > 10*time.Millisecond {
		t.Errorf("latency after a minute of silence = %v, want it forgotten", later)
	}
}

func TestTwoChoicesDoesNotFloodTheNew(t *testing.T) {
	nodes := newNodes(1, 1)
	nodes[0].Observe(time.Millisecond, 0)
	var p Picker
	for range 50 { // nothing of this is answered
		nodes[p.Pick(P2C, nodes, 0, 0)].Begin()
	}
	if n := nodes[1].InFlight(); n != 1 {
		t.Errorf("calls in flight at the node that never answered = %d, want 1", n)
	}
}

func TestSlowAnswerCountsAtOnceFastOneWithTime(t *testing.T) {
	n := NewNode("a", 1)
	n.Observe(10*time.Millisecond, 0)
	n.Observe(100*time.Millisecond, 1)
	if l := n.Latency(1); l != 100*time.Millisecond {
		t.Errorf("latency after a slow answer = %v, want 100ms", l)
	}
	n.Observe(10*time.Millisecond, int64(time.Millisecond))
	if l := n.Latency(int64(time.Millisecond)); l < 99*time.Millisecond {
		t.Errorf("latency right after one fast answer = %v, want about 100ms", l)
	}
	n.Observe(10*time.Millisecond, int64(10*time.Second))
	if l := n.Latency(int64(10 * time.Second)); l > 20*time.Millisecond {
		t.Errorf("latency after ten seconds = %v, want about 14ms", l)
	}
}

func TestRoundRobinIsSmoothAndWeighted(t *testing.T) {
	nodes := newNodes(5, 1, 1)
	var p Picker
	var order []byte
	for range 7 {
		order = append(order, "abc"[p.Pick(RoundRobin, nodes, 0, 0)])
	}
	if string(order) != "aabacaa" {
		t.Errorf("order = %s, want aabacaa", order)
	}
}

func TestLeastRequest(t *testing.T) {
	nodes := newNodes(1, 1, 4)
	nodes[0].Begin()
	nodes[2].Begin()
	nodes[2].Begin() // three of four: still the lightest
	if got := share(t, LeastRequest, nodes, 100, noKey); got[2] != 100 {
		t.Errorf("calls per node = %v, want all for the third", got)
	}
}

func TestHashSticksAndMovesLittle(t *testing.T) {
	nodes := newNodes(1, 1, 1, 1, 1)
	var p Picker
	const keys = 5000
	before := make([]*Node, keys)
	for i := range keys {
		before[i] = nodes[p.Pick(HashKey, nodes, Hash(fmt.Sprint("user-", i)), 0)]
	}
	gone, left := nodes[2], append(append([]*Node{}, nodes[:2]...), nodes[3:]...)
	for i := range keys {
		now := left[p.Pick(HashKey, left, Hash(fmt.Sprint("user-", i)), 0)]
		if before[i] != gone && now != before[i] {
			t.Fatalf("key %d moved although its node stayed", i)
		}
	}
}

func TestHashFollowsWeights(t *testing.T) {
	got := share(t, HashKey, newNodes(1, 3), 20000, func(i int) uint64 { return Hash(strconv.Itoa(i)) })
	if ratio := float64(got[1]) / float64(got[0]); math.Abs(ratio-3) > 0.3 {
		t.Errorf("keys per node = %v, want one to three", got)
	}
}

func TestHashBoundsLoad(t *testing.T) {
	nodes := newNodes(1, 1, 1, 1)
	var p Picker
	hot := Hash("everybody's favourite")
	for range 400 { // one key, nothing is answered
		nodes[p.Pick(HashKey, nodes, hot, 0)].Begin()
	}
	for i, n := range nodes {
		if n.InFlight() > 126 {
			t.Errorf("node %d has %d of 400 calls, want at most 1.25 fair shares", i, n.InFlight())
		}
	}
}

func BenchmarkPick(b *testing.B) {
	nodes := newNodes(1, 1, 1, 1, 1, 1, 1, 1)
	for _, n := range nodes {
		n.Observe(time.Millisecond, 0)
	}
	for _, kind := range Kinds() {
		b.Run(kind, func(b *testing.B) {
			var p Picker
			for b.Loop() {
				p.Pick(Kind(kind), nodes, 42, 0)
			}
		})
	}
}
