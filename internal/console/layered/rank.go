package layered

import (
	"cmp"
	"slices"
)

// ranks puts each node one layer behind the last of those that lead to it. Where
// edges go in a circle, the one that comes back to where the way began doesn't
// count, and of late ones none that would close a circle.
func ranks(ids []string, edges []Edge) map[string]int {
	g := &graph{to: map[string][]string{}, state: map[string]int{}}
	in := map[string]int{}
	var late []Edge
	known := func(id string) bool {
		_, ok := slices.BinarySearch(ids, id)
		return ok
	}
	for _, i := range inOrder(edges) {
		switch e := edges[i]; {
		case e.From == e.To, !known(e.From), !known(e.To):
		case e.Late:
			late = append(late, e)
		default:
			g.to[e.From] = append(g.to[e.From], e.To)
			in[e.To]++
		}
	}
	for _, id := range g.beginnings(ids, in) {
		g.visit(id)
	}
	for _, e := range late {
		if !g.leads(e.To, e.From, map[string]bool{}) {
			g.to[e.From] = append(g.to[e.From], e.To)
		}
	}
	return g.depths(ids)
}

// beginnings are all, those first where ways begin: where nobody leads to, and
// then where more ways go out than come in.
func (g *graph) beginnings(ids []string, in map[string]int) []string {
	out := slices.Clone(ids)
	slices.SortStableFunc(out, func(a, b string) int {
		return cmp.Or(cmp.Compare(min(in[a], 1), min(in[b], 1)), cmp.Compare(in[a]-len(g.to[a]), in[b]-len(g.to[b])))
	})
	return out
}

// graph is who leads to whom; visit leaves out the edges that close a circle.
type graph struct {
	to    map[string][]string
	state map[string]int // 0: new, 1: on the way, 2: done
	order []string       // those behind before those in front
}

func (g *graph) visit(id string) {
	if g.state[id] != 0 {
		return
	}
	g.state[id] = 1
	for _, to := range g.to[id] {
		g.visit(to)
	}
	g.to[id] = slices.DeleteFunc(g.to[id], func(to string) bool { return g.state[to] == 1 })
	g.state[id] = 2
	g.order = append(g.order, id)
}

// leads tells whether there is a way from one to another.
func (g *graph) leads(from, to string, seen map[string]bool) bool {
	if from == to {
		return true
	}
	seen[from] = true
	return slices.ContainsFunc(g.to[from], func(next string) bool { return !seen[next] && g.leads(next, to, seen) })
}

func (g *graph) depths(ids []string) map[string]int {
	g.state, g.order = map[string]int{}, nil
	for _, id := range ids {
		g.visit(id)
	}
	depth, reached := map[string]int{}, map[string]bool{}
	for _, id := range slices.Backward(g.order) {
		for _, to := range g.to[id] {
			depth[to], reached[to] = max(depth[to], depth[id]+1), true
		}
	}
	for _, id := range g.order { // who is led to by nobody stands before the first it leads to
		if reached[id] || len(g.to[id]) == 0 {
			continue
		}
		first := depth[g.to[id][0]]
		for _, to := range g.to[id] {
			first = min(first, depth[to])
		}
		depth[id] = first - 1
	}
	return depth
}
