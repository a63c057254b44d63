package archive

import (
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gowarren/warren/internal/signals/topology"
)

const (
	// mostGraphEdges are the edges that have series of their own; calls over
	// others are counted as one edge: names that a sender makes up must not make
	// the supervisor show more series than are taken.
	mostGraphEdges = 300
	// graphForgets is after how long an edge without calls gives its place away.
	graphForgets = time.Hour
	otherEdge    = "_OTHER"
	outsideUser  = "user" // whoever calls from outside, as OpenTelemetry has it
)

// graphBounds are the buckets of the latency of calls, in seconds.
func graphBounds() []float64 { return []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5} }

// graph shows who calls whom as metrics, under the names that OpenTelemetry's
// connector of service graphs gives them. It is safe for concurrent use.
type graph struct {
	bounds   []float64
	requests *prometheus.Desc
	seconds  *prometheus.Desc
	unpaired *prometheus.Desc

	mu    sync.Mutex
	edges map[graphEdge]*graphCounts
	alone int64 // calls of which one side is known
}

// graphEdge is an edge under the labels of its series.
type graphEdge struct{ client, server, kind string }

type graphCounts struct {
	calls, failed int64
	buckets       []uint64 // calls that took at most as long, not cumulated
	sum           float64  // seconds
	used          time.Time
}

func newGraph() *graph {
	labels := []string{"client", "server", "connection_type"}
	return &graph{
		bounds: graphBounds(), edges: map[graphEdge]*graphCounts{},
		requests: prometheus.NewDesc("traces_service_graph_request_total",
			"Calls from one node to another, as recorded traces have shown them.", append([]string{"failed"}, labels...), nil),
		seconds: prometheus.NewDesc("traces_service_graph_request_client_seconds",
			"How long the calls took for the caller, where it is known.", labels, nil),
		unpaired: prometheus.NewDesc("traces_service_graph_unpaired_spans_total",
			"Calls of which only one side was recorded.", nil, nil),
	}
}

// add counts calls over an edge that took about as long.
func (g *graph) add(cell topology.Cell, n topology.Count, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := graphKey(cell.Edge)
	c := g.edges[key]
	if c == nil {
		if len(g.edges) >= mostGraphEdges {
			g.forget(now)
		}
		if len(g.edges) >= mostGraphEdges {
			key = graphEdge{otherEdge, otherEdge, ""}
		}
		if c = g.edges[key]; c == nil {
			c = &graphCounts{buckets: make([]uint64, len(g.bounds)+1)}
			g.edges[key] = c
		}
	}
	took := topology.Latency(cell.Bucket).Seconds()
	i := 0
	for i < len(g.bounds) && took > g.bounds[i] {
		i++
	}
	c.buckets[i] += uint64(n.Calls)
	c.calls += n.Calls
	c.failed += n.Errors
	c.sum += took * float64(n.Calls)
	c.used = now
}

// forget makes room by edges that nobody has used for long.
func (g *graph) forget(now time.Time) {
	for key, c := range g.edges {
		if now.Sub(c.used) > graphForgets {
			delete(g.edges, key)
		}
	}
}

// graphKey names the ends of an edge: what is called is a service unless the
// type of the connection says otherwise.
func graphKey(e topology.Edge) graphEdge {
	fromKind, client, _ := strings.Cut(e.Origin, ":")
	toKind, server, _ := strings.Cut(e.Target, ":")
	key := graphEdge{client: client, server: server}
	switch {
	case e.Origin == "":
		key.client, key.kind = outsideUser, "virtual_node"
	case toKind == "database":
		key.kind = "database"
	case toKind == "topic", fromKind == "topic":
		key.kind = "messaging_system"
	case toKind == "external":
		key.kind = "virtual_node"
	}
	return key
}

func (g *graph) setUnpaired(n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.alone = n
}

// Describe implements [prometheus.Collector].
func (g *graph) Describe(out chan<- *prometheus.Desc) {
	for _, d := range [...]*prometheus.Desc{g.requests, g.seconds, g.unpaired} {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (g *graph) Collect(out chan<- prometheus.Metric) {
	g.mu.Lock()
	defer g.mu.Unlock()
	send := func(m prometheus.Metric, err error) {
		if err == nil {
			out <- m
		}
	}
	send(prometheus.NewConstMetric(g.unpaired, prometheus.CounterValue, float64(g.alone)))
	for e, c := range g.edges {
		send(prometheus.NewConstMetric(g.requests, prometheus.CounterValue, float64(c.calls-c.failed), "false", e.client, e.server, e.kind))
		send(prometheus.NewConstMetric(g.requests, prometheus.CounterValue, float64(c.failed), "true", e.client, e.server, e.kind))
		buckets, below := make(map[float64]uint64, len(g.bounds)), uint64(0)
		for i, bound := range g.bounds {
			below += c.buckets[i]
			buckets[bound] = below
		}
		send(prometheus.NewConstHistogram(g.seconds, uint64(c.calls), c.sum, buckets, e.client, e.server, e.kind))
	}
}
