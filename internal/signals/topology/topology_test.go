package topology_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gowarren/warren/internal/signals/topology"
)

func span(id, parent byte, kind topology.Kind, service string) topology.Span {
	s := topology.Span{Kind: kind, Service: service, Version: "v1", Duration: time.Millisecond}
	s.Trace[0], s.Span[0], s.Parent[0] = 1, id, parent
	return s
}

func edges(cells map[topology.Cell]topology.Count) map[topology.Edge]topology.Count {
	out := map[topology.Edge]topology.Count{}
	for c, n := range cells {
		sum := out[c.Edge]
		sum.Calls += n.Calls
		sum.Errors += n.Errors
		out[c.Edge] = sum
	}
	return out
}

// The two sides of a call are one call, whichever comes first.
func TestPairs(t *testing.T) {
	root := span(1, 0, topology.Server, "gateway")
	client := span(2, 1, topology.Client, "gateway")
	server := span(3, 2, topology.Server, "order")
	server.Failed = true
	query := span(4, 3, topology.Client, "order")
	query.Peer, query.System = topology.DatabaseNode("sqlite", "order"), "sqlite"
	publish := span(5, 3, topology.Producer, "order")
	publish.Peer = topology.TopicNode("placed")
	consume := span(6, 5, topology.Consumer, "shipping")
	consume.Peer = publish.Peer

	want := map[topology.Edge]topology.Count{
		{Target: "service:gateway", Version: "v1"}:                                   {Calls: 1},
		{Origin: "service:gateway", Target: "service:order", Version: "v1"}:          {Calls: 1, Errors: 1},
		{Origin: "service:order", Target: "database:sqlite/order", System: "sqlite"}: {Calls: 1},
		{Origin: "service:order", Target: "topic:placed"}:                            {Calls: 1},
		{Origin: "topic:placed", Target: "service:shipping", Version: "v1"}:          {Calls: 1},
	}
	forth := []topology.Span{root, client, server, query, publish, consume}
	back := []topology.Span{consume, publish, query, server, client, root}
	now := time.Now()
	for name, order := range map[string][]topology.Span{"callers first": forth, "callers last": back} {
		p := topology.New()
		for _, s := range order {
			p.Add(s, now)
		}
		if diff := cmp.Diff(want, edges(p.Flush(now))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if p.Unpaired() != 0 {
			t.Errorf("%s: %d unpaired", name, p.Unpaired())
		}
		if got := p.Flush(now.Add(time.Hour)); len(got) != 0 {
			t.Errorf("%s: counted again later: %v", name, got)
		}
	}
}

// One side alone is a call from or to somebody unknown, once the other is late.
func TestPairsGivesUp(t *testing.T) {
	p := topology.New()
	now := time.Now()
	lost := span(1, 9, topology.Server, "order")
	unknown := span(2, 1, topology.Client, "order")
	outside := span(3, 1, topology.Client, "order")
	outside.Peer, outside.MayAnswer = topology.ExternalNode("bank.example"), true
	for _, s := range []topology.Span{lost, unknown, outside} {
		p.Add(s, now)
	}
	if got := p.Flush(now); len(got) != 0 {
		t.Errorf("counted at once: %v", got)
	}
	want := map[topology.Edge]topology.Count{
		{Target: "service:order", Version: "v1"}:                   {Calls: 1},
		{Origin: "service:order", Target: "external:bank.example"}: {Calls: 1},
	}
	if diff := cmp.Diff(want, edges(p.Flush(now.Add(time.Hour)))); diff != "" {
		t.Error(diff)
	}
	if p.Unpaired() != 2 {
		t.Errorf("unpaired = %d, want 2", p.Unpaired())
	}
}

func TestQuantile(t *testing.T) {
	counts := map[int]int64{}
	for i := 1; i <= 1000; i++ {
		counts[topology.Bucket(time.Duration(i)*time.Millisecond)]++
	}
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.95: 950 * time.Millisecond} {
		got := topology.Quantile(q, counts)
		if off := float64(got) / float64(want); off < 0.85 || off > 1.15 {
			t.Errorf("quantile %v = %v, want about %v", q, got, want)
		}
	}
	if got := topology.Quantile(0.5, nil); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}
