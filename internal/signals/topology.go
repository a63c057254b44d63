package signals

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/signals/segment"
	"github.com/gowarren/warren/internal/signals/topology"
)

const (
	defaultSpan = time.Hour
	mostEdges   = 5000
)

func (s *traceService) Topology(_ context.Context, req *observev1.TopologyRequest) (*observev1.TopologyResponse, error) {
	to := time.Now()
	if req.GetTo() != nil {
		to = req.GetTo().AsTime()
	}
	from := to.Add(-defaultSpan)
	if req.GetFrom() != nil {
		from = req.GetFrom().AsTime()
	}
	first, last := segment.Minute(from.UnixNano()), segment.Minute(to.UnixNano())
	calls, err := s.signals.archive.Calls(first, last)
	if err != nil {
		return nil, unreadable(err)
	}
	g := newGraph()
	for _, c := range calls {
		g.add(c)
	}
	start, end := time.Unix(first*60, 0), time.Unix((last+1)*60, 0) //nolint:mnd // minutes
	resp := g.response(req.GetServices(), min(end.Sub(start), max(time.Since(start), time.Second)))
	resp.From, resp.To = timestamppb.New(start), timestamppb.New(end)
	resp.Unpaired = s.signals.archive.Unpaired()
	return resp, nil
}

// graph is what was counted, by node and by edge.
type graph struct {
	nodes map[string]*traffic
	edges map[[2]string]*traffic
}

// traffic is what went over an edge, or to a node.
type traffic struct {
	system        string
	calls, errors int64
	latency       map[int]int64
	versions      map[string]topology.Count
}

func newGraph() *graph {
	return &graph{nodes: map[string]*traffic{}, edges: map[[2]string]*traffic{}}
}

func at[K comparable](m map[K]*traffic, key K) *traffic {
	t := m[key]
	if t == nil {
		t = &traffic{latency: map[int]int64{}, versions: map[string]topology.Count{}}
		m[key] = t
	}
	return t
}

func (g *graph) add(c segment.Calls) {
	at(g.nodes, c.Target).add(c)
	if c.Origin == "" {
		return
	}
	at(g.nodes, c.Origin)
	at(g.edges, [2]string{c.Origin, c.Target}).add(c)
}

func (t *traffic) add(c segment.Calls) {
	t.system = cmp.Or(t.system, c.System)
	t.calls += c.Calls
	t.errors += c.Errors
	t.latency[c.Bucket] += c.Calls
	if c.Version != "" {
		v := t.versions[c.Version]
		t.versions[c.Version] = topology.Count{Calls: v.Calls + c.Calls, Errors: v.Errors + c.Errors}
	}
}

func (t *traffic) shares() (out []*observev1.VersionShare) {
	for _, version := range slices.Sorted(maps.Keys(t.versions)) {
		v := t.versions[version]
		out = append(out, &observev1.VersionShare{Version: version, Calls: v.Calls, Errors: v.Errors})
	}
	return out
}

func (t *traffic) quantile(q float64) *durationpb.Duration {
	return durationpb.New(topology.Quantile(q, t.latency))
}

const median, slow = 0.5, 0.95

func (g *graph) response(services []string, over time.Duration) *observev1.TopologyResponse {
	resp, room := &observev1.TopologyResponse{}, pageBytes // names that a sender makes up are without end
	shown := map[string]bool{}
	wanted := func(id string) bool {
		name, ok := strings.CutPrefix(id, "service:")
		return len(services) == 0 || ok && slices.Contains(services, name)
	}
	keys := slices.SortedFunc(maps.Keys(g.edges), func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	})
	for _, key := range keys {
		if !wanted(key[0]) && !wanted(key[1]) {
			continue
		}
		t := g.edges[key]
		edge := &observev1.TopologyEdge{
			From: key[0], To: key[1], Calls: t.calls, Errors: t.errors, P50: t.quantile(median), P95: t.quantile(slow),
			Versions: t.shares(), CallsPerSecond: float64(t.calls) / over.Seconds(),
		}
		if room -= proto.Size(edge); room < pageBytes/2 || len(resp.GetEdges()) == mostEdges {
			resp.Truncated = true
			break
		}
		shown[key[0]], shown[key[1]] = true, true
		resp.Edges = append(resp.Edges, edge)
	}
	for _, id := range slices.Sorted(maps.Keys(g.nodes)) {
		if !shown[id] && !wanted(id) {
			continue
		}
		t := g.nodes[id]
		kind, name := nodeKind(id)
		node := &observev1.TopologyNode{
			Id: id, Kind: kind, Name: name, System: t.system, Calls: t.calls, Errors: t.errors,
			P50: t.quantile(median), P95: t.quantile(slow), Versions: t.shares(),
		}
		if room -= proto.Size(node); room < 0 {
			resp.Truncated = true
			break
		}
		resp.Nodes = append(resp.Nodes, node)
	}
	return resp
}

func nodeKind(id string) (observev1.NodeKind, string) {
	kind, name, _ := strings.Cut(id, ":")
	switch kind {
	case "service":
		return observev1.NodeKind_NODE_KIND_SERVICE, name
	case "database":
		return observev1.NodeKind_NODE_KIND_DATABASE, name
	case "topic":
		return observev1.NodeKind_NODE_KIND_TOPIC, name
	}
	return observev1.NodeKind_NODE_KIND_EXTERNAL, name
}
