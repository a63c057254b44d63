// Package layered draws who calls whom: callers stand left of those they call,
// what only one of them uses stands beside it, and lines pass between nodes and
// not behind them. A picture depends on names and on edges only, so that nothing
// moves while figures change.
package layered

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// Measures are those of a picture.
type Measures struct {
	// Width and Height are a node's.
	Width, Height int
	// GapX lies between layers, GapY between nodes of a layer.
	GapX, GapY int
	// Lane lies between a line that passes a layer and what is above it.
	Lane int
	// Border is around all.
	Border int
}

// Edge leads from a node to another.
type Edge struct {
	From, To string
	// Late edges give way: where edges go in a circle, one of these is drawn
	// back, if there is one.
	Late bool
}

// Point is a place in a picture.
type Point struct{ X, Y int }

// Way is where an edge runs, in pairs: from the side of a node, or of a layer that
// it passes, to the side of the next. Within a layer it goes straight on. It is
// nil for an edge that leads to where it begins, or of which an end isn't there.
type Way []Point

// Picture is where all stand.
type Picture struct {
	Width, Height int
	// Nodes are their upper left corners.
	Nodes map[string]Point
	// Ways are those of the edges, in the order in which these were given.
	Ways []Way
}

// Place draws nodes and edges.
func Place(nodes []string, edges []Edge, m Measures) Picture {
	d := newDrawing(nodes, edges, m)
	d.arrange()
	d.settle()
	return d.picture(edges)
}

// vertex is a node, or the place where a line passes a layer.
type vertex struct {
	id    string // empty: a line passes
	layer int
	// left and right are its neighbours in the layers on both sides.
	left, right []int
	at          int     // in its layer, from above
	y           float64 // its middle
}

// chain is the way of an edge through the layers, from left to right.
type chain struct {
	through []int
	back    bool // the edge goes from right to left
}

type drawing struct {
	m        Measures
	vertices []vertex
	layers   [][]int
	chains   []chain // by edge
}

func newDrawing(nodes []string, edges []Edge, m Measures) *drawing {
	d := &drawing{m: m, chains: make([]chain, len(edges))}
	ids := slices.Compact(slices.Sorted(slices.Values(nodes)))
	rank, of := ranks(ids, edges), map[string]int{}
	for _, id := range ids {
		of[id] = d.add(id, rank[id])
	}
	for _, i := range inOrder(edges) {
		from, there := of[edges[i].From]
		to, also := of[edges[i].To]
		if !there || !also || from == to {
			continue
		}
		d.chains[i].back = d.vertices[from].layer > d.vertices[to].layer
		if d.chains[i].back {
			from, to = to, from
		}
		d.chains[i].through = d.connect(from, to)
	}
	return d
}

// inOrder are the places of edges, by their names.
func inOrder(edges []Edge) []int {
	out := make([]int, len(edges))
	for i := range out {
		out[i] = i
	}
	slices.SortStableFunc(out, func(a, b int) int {
		return cmp.Or(strings.Compare(edges[a].From, edges[b].From), strings.Compare(edges[a].To, edges[b].To))
	})
	return out
}

func (d *drawing) add(id string, layer int) int {
	for len(d.layers) <= layer {
		d.layers = append(d.layers, nil)
	}
	v := len(d.vertices)
	d.vertices = append(d.vertices, vertex{id: id, layer: layer, at: len(d.layers[layer])})
	d.layers[layer] = append(d.layers[layer], v)
	return v
}

// connect leads from a vertex to one further right, through all layers between.
func (d *drawing) connect(from, to int) []int {
	through := []int{from}
	for layer := d.vertices[from].layer + 1; layer < d.vertices[to].layer; layer++ {
		through = append(through, d.add("", layer))
	}
	through = append(through, to)
	for i := range through[1:] {
		a, b := through[i], through[i+1]
		d.vertices[a].right = append(d.vertices[a].right, b)
		d.vertices[b].left = append(d.vertices[b].left, a)
	}
	return through
}

func (d *drawing) passes(v int) bool { return d.vertices[v].id == "" }

// picture is what has been drawn, in whole units, with its upper end at the border.
func (d *drawing) picture(edges []Edge) Picture {
	top, bottom := math.Inf(1), math.Inf(-1)
	for i := range d.vertices {
		half := float64(d.m.Height) / 2
		if d.passes(i) {
			half = 0
		}
		top, bottom = min(top, d.vertices[i].y-half), max(bottom, d.vertices[i].y+half)
	}
	if len(d.vertices) == 0 {
		top, bottom = 0, 0
	}
	border := float64(d.m.Border)
	out := Picture{
		Width:  2*d.m.Border + max(0, len(d.layers)*(d.m.Width+d.m.GapX)-d.m.GapX),
		Height: int(math.Ceil(bottom - top + 2*border)), Nodes: map[string]Point{}, Ways: make([]Way, len(edges)),
	}
	for i := range d.vertices {
		v := &d.vertices[i]
		v.y = math.Round(v.y - top + border)
		if v.id != "" {
			out.Nodes[v.id] = Point{d.x(v.layer), int(v.y) - d.m.Height/2}
		}
	}
	for i, c := range d.chains {
		out.Ways[i] = d.way(c)
	}
	return out
}

func (d *drawing) x(layer int) int { return d.m.Border + layer*(d.m.Width+d.m.GapX) }

// way runs through the layers. One that goes back begins and ends a little lower,
// where it doesn't lie on one that goes there.
func (d *drawing) way(c chain) Way {
	var out Way
	for i, v := range c.through {
		one := d.vertices[v]
		y := int(one.y)
		if c.back && !d.passes(v) {
			y += d.m.Height / 4
		}
		if i > 0 {
			out = append(out, Point{d.x(one.layer), y})
		}
		if i < len(c.through)-1 {
			out = append(out, Point{d.x(one.layer) + d.m.Width, y})
		}
	}
	if c.back {
		slices.Reverse(out)
	}
	return out
}
