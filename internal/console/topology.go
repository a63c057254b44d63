package console

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

type topologyView struct {
	Nodes         []nodeView
	Edges         []edgeView
	Width, Height int
	Least         int // width, when the page has less room; 0: as small as it has to be
	Table         *frame.Table
	Tabs          []tab
	Note          string
	Empty         frame.Empty
	Around        string
}

// Export is who calls whom.
func (v topologyView) Export() *frame.Table { return v.Table }

type nodeView struct {
	ID, Name, Sub, Href, Says string
	Kind                      string
	Tone                      frame.Tone
	X, Y, W, H                int
}

type edgeView struct {
	Path, Text, Says string
	Tone             frame.Tone
	Async            bool
	TX, TY           int
}

func (s *screens) topology(r *frame.Request) (any, error) {
	found, err := s.traces.Topology(r.Context(), &observev1.TopologyRequest{
		From: timestamppb.New(r.Range.From), To: timestamppb.New(r.Range.To), Services: named(r.Get("around")),
	})
	if err != nil {
		return nil, err
	}
	ill := r.Get("show") == "unhealthy"
	v := topologyView{Around: r.Get("around"), Tabs: []tab{{"All", r.With("show", ""), !ill}, {"Unhealthy only", r.With("show", "unhealthy"), ill}}}
	v.Empty = frame.Empty{
		Title: "No calls in this span of time", Text: "The picture is drawn from what traces have shown: call something, and it appears.",
		Code: "curl -s http://localhost:8080/v1/products",
	}
	broken, err := s.broken(r)
	r.Missing("The breakers", err)
	nodes, edges := found.GetNodes(), edgesOf(found.GetEdges(), broken)
	if ill {
		nodes, edges = unhealthy(nodes, edges)
		v.Empty = frame.Empty{
			Title: "Nothing is unhealthy", Clear: r.With("show", ""),
			Text: "No call in this span of time failed more often than once in a thousand, and no breaker is open.",
		}
	}
	v.draw(nodes, edges)
	v.Table = edgeTable(r, nodes, edges)
	if found.GetTruncated() {
		v.Note = "There were more edges than are kept; some are missing."
	}
	if n := found.GetUnpaired(); n > 0 {
		v.Note += fmt.Sprintf(" The other side of %s calls was not recorded; they are in no edge.", frame.Count(n))
	}
	return v, nil
}

// unhealthy leaves the edges with errors or open breakers, and who stands at
// their ends.
func unhealthy(nodes []*observev1.TopologyNode, edges []edge) ([]*observev1.TopologyNode, []edge) {
	at := map[string]bool{}
	var ill []edge
	for _, e := range edges {
		if tone := e.tone(); tone == frame.Bad || tone == frame.Warn {
			ill = append(ill, e)
			at[e.GetFrom()], at[e.GetTo()] = true, true
		}
	}
	var out []*observev1.TopologyNode
	for _, n := range nodes {
		if at[n.GetId()] {
			out = append(out, n)
		}
	}
	return out, ill
}

func edgeTone(calls, errors int64) frame.Tone {
	if calls == 0 {
		return frame.Idle
	}
	switch share := float64(errors) / float64(calls); {
	case share > tooManyErrors:
		return frame.Bad
	case share > someErrors:
		return frame.Warn
	}
	return frame.Good
}

// The picture's measures.
const (
	nodeWidth, nodeHeight = 176, 46
	gapX, gapY            = 96, 22
	border                = 16
	// page is about what a screen has room for. A picture that would have to be made
	// much smaller is scrolled instead, so that its words can be read.
	page = 1040
)

// draw places nodes in layers, callers left of those they call. The order
// depends on names only, so that nothing moves while figures change.
func (v *topologyView) draw(nodes []*observev1.TopologyNode, edges []edge) {
	layers := layered(nodes, edges)
	tallest := 0
	for _, layer := range layers {
		tallest = max(tallest, len(layer))
	}
	v.Width = 2*border + len(layers)*(nodeWidth+gapX) - gapX
	v.Height = 2*border + tallest*(nodeHeight+gapY) - gapY
	if least := v.Width * 4 / 5; least > page {
		v.Least = least
	}
	place := map[string]nodeView{}
	for x, layer := range layers {
		top := border + (tallest-len(layer))*(nodeHeight+gapY)/2
		for y, n := range layer {
			one := nodeOf(n)
			one.X, one.Y, one.W, one.H = border+x*(nodeWidth+gapX), top+y*(nodeHeight+gapY), nodeWidth, nodeHeight
			place[n.GetId()] = one
			v.Nodes = append(v.Nodes, one)
		}
	}
	for _, e := range edges {
		from, ok := place[e.GetFrom()]
		to, there := place[e.GetTo()]
		if ok && there {
			v.Edges = append(v.Edges, edgeOf(from, to, e))
		}
	}
}

func nodeOf(n *observev1.TopologyNode) nodeView {
	kind := strings.ToLower(strings.TrimPrefix(n.GetKind().String(), "NODE_KIND_"))
	name := n.GetName()
	if n.GetKind() == observev1.NodeKind_NODE_KIND_TOPIC {
		name = shortName(name)
	}
	out := nodeView{ID: n.GetId(), Name: clipped(name), Kind: kind, Tone: edgeTone(n.GetCalls(), n.GetErrors())}
	out.Sub = kind
	if n.GetKind() == observev1.NodeKind_NODE_KIND_SERVICE {
		out.Href, out.Sub = serviceHref(n.GetName()), ""
		if n.GetCalls() > 0 {
			out.Sub = "p95 " + frame.Span(n.GetP95().AsDuration())
		}
	} else if n.GetSystem() != "" {
		out.Sub = n.GetSystem()
	}
	out.Says = fmt.Sprintf("%s %s: %s calls, %s errors", kind, n.GetName(), frame.Count(n.GetCalls()), frame.Count(n.GetErrors()))
	return out
}

func clipped(name string) string {
	const room = 17
	if r := []rune(name); len(r) > room {
		return string(r[:room-1]) + "…"
	}
	return name
}

// edgeOf draws an edge as a curve from one side of a node to the other's.
func edgeOf(from, to nodeView, e edge) edgeView {
	x1, y1, x2, y2 := from.X+from.W, from.Y+from.H/2, to.X, to.Y+to.H/2
	bend := max(gapX/2, (x2-x1)/2)
	if x2 <= x1 { // back, or to the same layer: around below
		x1, x2 = from.X+from.W/2, to.X+to.W/2
		y1, y2 = from.Y+from.H, to.Y+to.H
		low := max(y1, y2) + gapY
		out := edgeView{Path: fmt.Sprintf("M%d %d C%d %d %d %d %d %d", x1, y1, x1, low, x2, low, x2, y2), TX: (x1 + x2) / 2, TY: low - gapY/4}
		return out.with(from, to, e)
	}
	out := edgeView{Path: fmt.Sprintf("M%d %d C%d %d %d %d %d %d", x1, y1, x1+bend, y1, x2-bend, y2, x2-8, y2)}
	const near = 0.72 // of the way, where edges of one caller have parted
	out.TX, out.TY = x1+int(near*float64(x2-x1)), y1+int(math.Round(near*float64(y2-y1)))-4
	return out.with(from, to, e)
}

func (v edgeView) with(from, to nodeView, e edge) edgeView {
	v.Tone, v.Text = e.tone(), e.label()
	v.Async = from.Kind == "topic" || to.Kind == "topic"
	rate := frame.Amount(e.GetCallsPerSecond(), "/s")
	v.Says = fmt.Sprintf("%s calls %s: %s, %s errors, p95 %s", from.Name, to.Name, rate, frame.Amount(e.share(), "%"), frame.Span(e.GetP95().AsDuration()))
	if split := e.split(); len(split) > 1 {
		v.Says += "; versions " + strings.Join(split, ", ")
	}
	if e.breaker != nil {
		v.Says += "; breakers: " + e.breaker.status().Word
	}
	return v
}

// layered puts each node one layer behind the last of its callers. Where calls
// go in a circle, the one that comes back to where the way began doesn't count.
func layered(nodes []*observev1.TopologyNode, edges []edge) [][]*observev1.TopologyNode {
	nodes = slices.Clone(nodes)
	slices.SortFunc(nodes, func(a, b *observev1.TopologyNode) int { return strings.Compare(a.GetId(), b.GetId()) })
	g := graph{calls: map[string][]string{}, state: map[string]int{}, depth: map[string]int{}}
	called := map[string]bool{}
	for _, e := range edges {
		g.calls[e.GetFrom()] = append(g.calls[e.GetFrom()], e.GetTo())
		called[e.GetTo()] = called[e.GetTo()] || e.GetFrom() != e.GetTo()
	}
	for _, first := range []bool{true, false} { // ways begin where nobody calls
		for _, n := range nodes {
			if called[n.GetId()] != first {
				g.visit(n.GetId())
			}
		}
	}
	var out [][]*observev1.TopologyNode
	for _, id := range slices.Backward(g.order) {
		for _, to := range g.calls[id] {
			g.depth[to] = max(g.depth[to], g.depth[id]+1)
		}
	}
	last := 0
	for _, d := range g.depth {
		last = max(last, d)
	}
	for _, n := range nodes {
		d := g.depth[n.GetId()]
		if n.GetKind() == observev1.NodeKind_NODE_KIND_DATABASE {
			d = last // they stand in one column, where no way passes behind them
		}
		for len(out) <= d {
			out = append(out, nil)
		}
		out[d] = append(out[d], n)
	}
	return slices.DeleteFunc(out, func(layer []*observev1.TopologyNode) bool { return len(layer) == 0 })
}

// graph is who calls whom; visit leaves out the calls that close a circle.
type graph struct {
	calls map[string][]string
	state map[string]int // 0: new, 1: on the way, 2: done
	depth map[string]int
	order []string // the called before their callers
}

func (g *graph) visit(id string) {
	if g.state[id] != 0 {
		return
	}
	g.state[id] = 1
	slices.Sort(g.calls[id])
	for _, to := range g.calls[id] {
		g.visit(to)
	}
	g.calls[id] = slices.DeleteFunc(g.calls[id], func(to string) bool { return g.state[to] == 1 })
	g.state[id] = 2
	g.order = append(g.order, id)
}

func edgeTable(r *frame.Request, nodes []*observev1.TopologyNode, edges []edge) *frame.Table {
	t := frame.Table{
		Caption: "Who calls whom",
		Columns: []frame.Column{
			{Key: "from", Title: "From"}, {Key: "to", Title: "To"}, {Key: "rate", Title: "Calls", Number: true}, {Key: "errors", Title: "Errors", Number: true},
			{Key: "p50", Title: "p50", Number: true, Wide: true}, {Key: "p95", Title: "p95", Number: true},
			{Key: "breakers", Title: "Breakers"}, {Key: "versions", Title: "Versions", Fixed: true, Wide: true},
		},
		Note: strconv.Itoa(len(edges)),
	}
	names := map[string]string{}
	for _, n := range nodes {
		names[n.GetId()] = n.GetName()
	}
	for i, e := range edges {
		failed := frame.Measured(e.share(), "%")
		if tone := edgeTone(e.GetCalls(), e.GetErrors()); tone == frame.Bad || tone == frame.Warn {
			failed.Status = &frame.Status{Word: failed.Text, Tone: tone}
		}
		p50, p95 := e.GetP50().AsDuration(), e.GetP95().AsDuration()
		t.Rows = append(t.Rows, frame.Row{ID: fmt.Sprintf("edge-%d", i), Href: edgeTraces(r, names, e), Cells: []frame.Cell{
			{Text: names[e.GetFrom()], Sub: kindOfID(e.GetFrom())}, {Text: names[e.GetTo()], Sub: kindOfID(e.GetTo())},
			frame.Measured(e.GetCallsPerSecond(), "/s"), failed,
			{Text: frame.Span(p50), Order: p50.Seconds()}, {Text: frame.Span(p95), Order: p95.Seconds()},
			e.breakerCell(), {Chips: e.split()},
		}})
	}
	return r.Sorted(t, "-rate")
}

// edgeTraces leads from an edge to the traces that drew it: to those with an error
// if there are any, else to the slowest.
func edgeTraces(r *frame.Request, names map[string]string, e edge) string {
	q := url.Values{}
	for _, key := range []string{"from", "to"} {
		if v := r.Get(key); v != "" {
			q.Set(key, v)
		}
	}
	for _, id := range []string{e.GetFrom(), e.GetTo()} { // who called knows most of it
		if kindOfID(id) == "" {
			q.Set("service", names[id])
			break
		}
	}
	if e.GetErrors() > 0 {
		q.Set("errors", "1")
	} else {
		q.Set("order", "slowest")
	}
	return "/traces?" + q.Encode()
}

func kindOfID(id string) string {
	kind, _, _ := strings.Cut(id, ":")
	if kind == "service" {
		return ""
	}
	return kind
}
