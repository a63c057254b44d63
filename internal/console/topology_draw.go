package console

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/console/frame"
	"github.com/gowarren/warren/internal/console/layered"
)

// page is about what a screen has room for. A picture that would have to be made
// much smaller is scrolled instead, so that its words can be read.
const page = 1040

// measures are the picture's.
func measures() layered.Measures {
	return layered.Measures{Width: 176, Height: 46, GapX: 96, GapY: 20, Lane: 12, Border: 16}
}

// draw places nodes and edges. What is called through a topic is called later:
// calls decide who stands left of whom.
func (v *topologyView) draw(nodes []*observev1.TopologyNode, edges []edge) {
	var ids []string
	var lines []layered.Edge
	for _, n := range nodes {
		ids = append(ids, n.GetId())
	}
	for _, e := range edges {
		lines = append(lines, layered.Edge{From: e.GetFrom(), To: e.GetTo(), Late: kindOfID(e.GetFrom()) == "topic"})
	}
	m := measures()
	picture := layered.Place(ids, lines, m)
	v.Width, v.Height = picture.Width, picture.Height
	if least := v.Width * 4 / 5; least > page {
		v.Least = least
	}
	place := map[string]nodeView{}
	for _, n := range nodes {
		one, at := nodeOf(n), picture.Nodes[n.GetId()]
		one.X, one.Y, one.W, one.H = at.X, at.Y, m.Width, m.Height
		place[n.GetId()] = one
		v.Nodes = append(v.Nodes, one)
	}
	// Who goes through them by keyboard goes as one reads.
	slices.SortFunc(v.Nodes, func(a, b nodeView) int { return cmp.Or(cmp.Compare(a.X, b.X), cmp.Compare(a.Y, b.Y)) })
	for i, e := range edges {
		from, ok := place[e.GetFrom()]
		to, there := place[e.GetTo()]
		if ok && there {
			v.Edges = append(v.Edges, edgeOf(from, to, picture.Ways[i], e))
		}
	}
}

func nodeOf(n *observev1.TopologyNode) nodeView {
	kind := strings.ToLower(strings.TrimPrefix(n.GetKind().String(), "NODE_KIND_"))
	name := n.GetName()
	if n.GetKind() == observev1.NodeKind_NODE_KIND_TOPIC {
		name = shortName(name)
	}
	out := nodeView{ID: n.GetId(), Name: clipped(name), Full: n.GetName(), Kind: kind, Tone: edgeTone(n.GetCalls(), n.GetErrors())}
	out.Sub = kind
	if n.GetKind() == observev1.NodeKind_NODE_KIND_SERVICE {
		out.Href, out.Sub = serviceHref(n.GetName()), ""
		if n.GetCalls() > 0 {
			out.Sub = "p95 " + frame.Span(n.GetP95().AsDuration())
		}
	} else if n.GetSystem() != "" {
		out.Sub = n.GetSystem()
	}
	if system, rest, ok := strings.Cut(name, "/"); ok && kind == "database" { // which leaves room for what tells it from others
		out.Name, out.Sub = clipped(rest), system
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

// edgeOf draws an edge from one side of a node to the other's, or around the node
// to which it comes back.
func edgeOf(from, to nodeView, way layered.Way, e edge) edgeView {
	var out edgeView
	if len(way) == 0 {
		const left, right = 0.7, 0.9 // of its width, along its lower side
		x1, x2, y := from.X+int(left*float64(from.W)), from.X+int(right*float64(from.W)), from.Y+from.H
		low := y + from.H/2
		out = edgeView{Path: fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x1, y, x1, low, x2, low, x2, y+arrowLength), TX: (x1 + x2) / 2, TY: low}
	} else {
		begins, ends := way[len(way)-2], way[len(way)-1]
		const near = 0.72 // of the last stretch, where edges of one caller have parted
		out = edgeView{
			Path: pathOf(way), TX: begins.X + int(near*float64(ends.X-begins.X)), TY: begins.Y + int(math.Round(near*float64(ends.Y-begins.Y))) - 4,
		}
	}
	return out.with(from, to, e)
}

// arrowLength is left at the end of a line for the arrow.
const arrowLength = 8

// pathOf bends a line between layers; where it passes one, it goes straight on.
func pathOf(way layered.Way) string {
	var out strings.Builder
	fmt.Fprintf(&out, "M%d %d", way[0].X, way[0].Y)
	for i := 1; i < len(way); i += 2 {
		from, to := way[i-1], way[i]
		if i > 1 {
			fmt.Fprintf(&out, "H%d", from.X)
		}
		middle, end := (from.X+to.X)/2, to.X
		if i == len(way)-1 && from.X < to.X {
			end -= arrowLength
		} else if i == len(way)-1 {
			end += arrowLength
		}
		fmt.Fprintf(&out, "C%d %d %d %d %d %d", middle, from.Y, middle, to.Y, end, to.Y)
	}
	return out.String()
}

func (v edgeView) with(from, to nodeView, e edge) edgeView {
	v.Tone, v.Text = e.tone(), e.label()
	v.Async = from.Kind == "topic" || to.Kind == "topic"
	rate := frame.Amount(e.GetCallsPerSecond(), "/s")
	v.Says = fmt.Sprintf("%s calls %s: %s, %s errors, p95 %s", from.Full, to.Full, rate, frame.Amount(e.share(), "%"), frame.Span(e.GetP95().AsDuration()))
	if split := e.split(); len(split) > 1 {
		v.Says += "; versions " + strings.Join(split, ", ")
	}
	if e.breaker != nil {
		v.Says += "; breakers: " + e.breaker.status().Word
	}
	return v
}
