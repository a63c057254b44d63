package layered_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gowarren/warren/internal/console/layered"
)

func measures() layered.Measures {
	return layered.Measures{Width: 176, Height: 46, GapX: 96, GapY: 20, Lane: 12, Border: 16}
}

// graph is who calls whom, as "caller: called, called".
type graph struct {
	nodes []string
	edges []layered.Edge
}

func read(text string) graph {
	var g graph
	for line := range strings.Lines(text) {
		from, all, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			continue
		}
		for to := range strings.SplitSeq(all, ", ") {
			g.add(from, to)
		}
	}
	return g
}

func (g *graph) add(from, to string) {
	for _, id := range []string{from, to} {
		if !slices.Contains(g.nodes, id) {
			g.nodes = append(g.nodes, id)
		}
	}
	g.edges = append(g.edges, layered.Edge{From: from, To: to, Late: strings.HasPrefix(from, "topic/")})
}

// shop is the shop's, with its databases and its events.
func shop() graph {
	return read(`
		gateway: cart, catalog, identity, inventory, notification, order, payment, shipping, storefront
		storefront: gateway, db/storefront
		identity: db/identity, topic/UserRegistered
		catalog: db/catalog
		cart: catalog, db/cart
		inventory: db/inventory, topic/StockChanged
		order: cart, catalog, coordinator, inventory, payment, db/order, topic/OrderConfirmed, topic/OrderCancelled
		coordinator: inventory, order, payment, shipping, db/coordinator
		payment: db/payment, bank, topic/PaymentCaptured
		shipping: db/shipping, topic/OrderShipped
		notification: identity, db/notification, mail
		topic/UserRegistered: notification
		topic/OrderConfirmed: notification, cart
		topic/OrderCancelled: notification
		topic/PaymentCaptured: order
		topic/OrderShipped: notification, order
		topic/StockChanged: catalog
	`)
}

// sixty is a made-up system of sixty services in five tiers. Each calls a few of
// the next, some one further on; each third has a database, and each sixth an event.
func sixty() graph {
	var g graph
	const services, tier = 60, 12
	name := func(n int) string { return fmt.Sprintf("service-%02d", n) }
	for n := range services {
		next := (n/tier + 1) * tier
		for k := range 2 {
			if next < services {
				g.add(name(n), name(next+(n*5+k*7)%tier))
			}
		}
		if n%5 == 0 && next+tier < services {
			g.add(name(n), name(next+tier+n%tier))
		}
		if n%3 == 0 {
			g.add(name(n), "db/"+name(n))
		}
		if n%6 == 1 {
			topic := fmt.Sprintf("topic/%02d", n)
			g.add(name(n), topic)
			g.add(topic, name((n*7+3)%services))
		}
	}
	return g
}

// TestBeside has what one service uses stand in the layer behind it, and near it.
func TestBeside(t *testing.T) {
	m := measures()
	for name, g := range map[string]graph{"the shop": shop(), "sixty": sixty()} {
		p := layered.Place(g.nodes, g.edges, m)
		for _, e := range g.edges {
			if !strings.HasPrefix(e.To, "db/") {
				continue
			}
			from, to := p.Nodes[e.From], p.Nodes[e.To]
			if to.X-from.X != m.Width+m.GapX {
				t.Errorf("%s: %s stands at %v, %s at %v", name, e.From, from, e.To, to)
			}
			if far := abs(to.Y - from.Y); far > 8*(m.Height+m.GapY) {
				t.Errorf("%s: from %s to %s it goes %d up or down", name, e.From, e.To, far)
			}
		}
	}
}

// TestLines holds the lines to how long they may be, and to how often they may
// cross: by far less than where nodes stand in the order of their names, with
// the databases at the far right.
func TestLines(t *testing.T) {
	for name, c := range map[string]struct {
		graph             graph
		length, crossings float64 // shares of those by name
	}{"the shop": {shop(), 0.8, 0.5}, "sixty": {sixty(), 0.7, 0.4}} {
		g := c.graph
		if len(g.nodes) < 15 {
			t.Fatalf("%s has %d nodes", name, len(g.nodes))
		}
		now := layered.Place(g.nodes, g.edges, measures()).Ways
		byName := named(g)
		length, crossings := lengthOf(now), crossingsOf(now)
		t.Logf("%s: %d nodes, length %.0f where it was %.0f, crossings %d where they were %d",
			name, len(g.nodes), length, lengthOf(byName), crossings, crossingsOf(byName))
		if most := c.length * lengthOf(byName); length > most {
			t.Errorf("%s: the lines are %.0f long, want at most %.0f", name, length, most)
		}
		if most := c.crossings * float64(crossingsOf(byName)); float64(crossings) > most {
			t.Errorf("%s: %d crossings, want at most %.0f", name, crossings, most)
		}
	}
}

// named is the picture as it would be by names: each layer in their order, in the
// middle, and databases in the last one.
func named(g graph) []layered.Way {
	m := measures()
	p := layered.Place(g.nodes, g.edges, m)
	last := 0
	for _, at := range p.Nodes {
		last = max(last, at.X)
	}
	columns := map[int][]string{}
	for _, id := range slices.Sorted(slices.Values(g.nodes)) {
		x := p.Nodes[id].X
		if strings.HasPrefix(id, "db/") {
			x = last
		}
		columns[x] = append(columns[x], id)
	}
	at := map[string]layered.Point{}
	for x, ids := range columns {
		for i, id := range ids {
			at[id] = layered.Point{X: x, Y: (2*i - len(ids)) * (m.Height + m.GapY) / 2}
		}
	}
	var out []layered.Way
	for _, e := range g.edges {
		from, to := at[e.From], at[e.To]
		if from.X < to.X {
			from.X += m.Width
		} else {
			to.X += m.Width
		}
		out = append(out, layered.Way{from, to})
	}
	return out
}

func lengthOf(ways []layered.Way) (sum float64) {
	for _, w := range ways {
		for i := range len(w) - 1 {
			sum += math.Hypot(float64(w[i+1].X-w[i].X), float64(w[i+1].Y-w[i].Y))
		}
	}
	return sum
}

// crossingsOf is how many pairs of lines cross, all taken for straight from side to
// side.
func crossingsOf(ways []layered.Way) int {
	n := 0
	for i := range ways {
		for k := range i {
			if cross(ways[i], ways[k]) {
				n++
			}
		}
	}
	return n
}

func cross(a, b layered.Way) bool {
	for i := range len(a) - 1 {
		for k := range len(b) - 1 {
			if turns(a[i], a[i+1], b[k])*turns(a[i], a[i+1], b[k+1]) < 0 && turns(b[k], b[k+1], a[i])*turns(b[k], b[k+1], a[i+1]) < 0 {
				return true
			}
		}
	}
	return false
}

func turns(a, b, c layered.Point) int {
	n := (b.X-a.X)*(c.Y-a.Y) - (b.Y-a.Y)*(c.X-a.X)
	switch {
	case n > 0:
		return 1
	case n < 0:
		return -1
	}
	return 0
}

// TestRoom has no node stand on another, and no line pass behind one.
func TestRoom(t *testing.T) {
	m := measures()
	for name, g := range map[string]graph{"the shop": shop(), "sixty": sixty()} {
		p := layered.Place(g.nodes, g.edges, m)
		for a, at := range p.Nodes {
			if at.X < m.Border || at.Y < m.Border || at.X+m.Width > p.Width-m.Border || at.Y+m.Height > p.Height-m.Border {
				t.Errorf("%s: %s at %v stands outside of %d×%d", name, a, at, p.Width, p.Height)
			}
			for b, other := range p.Nodes {
				if a < b && at.X == other.X && abs(at.Y-other.Y) < m.Height+m.GapY-1 {
					t.Errorf("%s: %s at %v and %s at %v", name, a, at, b, other)
				}
			}
		}
		for i, way := range p.Ways {
			for k := 2; k < len(way)-1; k += 2 { // straight through a layer
				for id, at := range p.Nodes {
					if at.X == min(way[k-1].X, way[k].X) && way[k].Y > at.Y && way[k].Y < at.Y+m.Height {
						t.Errorf("%s: from %s to %s it goes behind %s", name, g.edges[i].From, g.edges[i].To, id)
					}
				}
			}
		}
	}
}

// TestStable draws the same again, whatever the order in which nodes and edges come.
func TestStable(t *testing.T) {
	g := sixty()
	first := layered.Place(g.nodes, g.edges, measures())
	slices.Reverse(g.nodes)
	slices.Reverse(g.edges)
	again := layered.Place(g.nodes, g.edges, measures())
	slices.Reverse(again.Ways)
	for id, at := range first.Nodes {
		if again.Nodes[id] != at {
			t.Errorf("%s stands at %v, and then at %v", id, at, again.Nodes[id])
		}
	}
	for i := range first.Ways {
		if !slices.Equal(first.Ways[i], again.Ways[i]) {
			t.Errorf("way %d is %v, and then %v", i, first.Ways[i], again.Ways[i])
		}
	}
}

// TestCircles has calls decide who stands left of whom, and events give way.
func TestCircles(t *testing.T) {
	for text, want := range map[string]string{
		"a: b\nb: c\nc: a":                       "a b c",
		"a: a, b":                                "a b",
		"b: a\na: topic/x\ntopic/x: b":           "b a topic/x",
		"z: a\na: topic/x\ntopic/x: y\ny: a":     "y,z a topic/x",
		"in: a\na: b\nb: c\ncron: c":             "in a b,cron c",
		"a: b\nb: db\na: c\nc: db":               "a b,c db",
		"a: b\nb: a, c":                          "b a,c",
		"first: topic/x\ntopic/x: second, third": "first topic/x second,third",
		"a: b, c, d\nb: c\nc: d\nd: topic/x":     "a b c d topic/x",
		"one: db/one":                            "one db/one",
		"":                                       "",
	} {
		g := read(text)
		p := layered.Place(g.nodes, g.edges, measures())
		columns := map[int][]string{}
		for id, at := range p.Nodes {
			columns[at.X] = append(columns[at.X], id)
		}
		var got []string
		xs := []int{}
		for x := range columns {
			xs = append(xs, x)
		}
		slices.Sort(xs)
		for _, x := range xs {
			slices.Sort(columns[x])
			got = append(got, strings.Join(columns[x], ","))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// TestBack draws there and back as two lines, and nothing for what is not there.
func TestBack(t *testing.T) {
	p := layered.Place([]string{"a", "b"}, []layered.Edge{{From: "a", To: "b"}, {From: "b", To: "a"}, {From: "a", To: "a"}, {From: "a", To: "gone"}}, measures())
	there, back := p.Ways[0], p.Ways[1]
	if len(there) != 2 || len(back) != 2 || there[0].X >= there[1].X || back[0].X <= back[1].X || there[0].Y == back[1].Y {
		t.Errorf("there %v, back %v", there, back)
	}
	if p.Ways[2] != nil || p.Ways[3] != nil {
		t.Errorf("to itself %v, to nobody %v", p.Ways[2], p.Ways[3])
	}
}

func abs(n int) int { return max(n, -n) }
