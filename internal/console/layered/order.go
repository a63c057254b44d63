package layered

import (
	"cmp"
	"slices"
)

// arrange orders the layers so that few lines cross: again and again each vertex
// goes to the middle of its neighbours on one side, and two that stand together
// change places where that helps. The best of these orders is taken.
func (d *drawing) arrange() {
	const rounds = 16
	const many = 3000 // more than anybody looks at: there, the middle has to do
	least := -1
	var best [][]int
	for round := range rounds {
		d.sweep(round%2 == 0)
		if len(d.vertices) < many {
			d.exchange()
		}
		if n := d.crossings(); least < 0 || n < least {
			least, best = n, clone(d.layers)
		}
		if least == 0 {
			break
		}
	}
	d.layers = best
	d.number()
}

func clone(layers [][]int) [][]int {
	out := make([][]int, len(layers))
	for i, layer := range layers {
		out[i] = slices.Clone(layer)
	}
	return out
}

func (d *drawing) number() {
	for _, layer := range d.layers {
		for at, v := range layer {
			d.vertices[v].at = at
		}
	}
}

// sweep goes through the layers in one direction.
func (d *drawing) sweep(rightwards bool) {
	for i := range d.layers {
		l := i
		if !rightwards {
			l = len(d.layers) - 1 - i
		}
		middle := map[int]float64{}
		for _, v := range d.layers[l] {
			middle[v] = d.middle(v, rightwards)
		}
		slices.SortStableFunc(d.layers[l], func(a, b int) int { return cmp.Compare(middle[a], middle[b]) })
		for at, v := range d.layers[l] {
			d.vertices[v].at = at
		}
	}
}

// middle is the mean place of the neighbours on a side; its own, where none are.
func (d *drawing) middle(v int, ofLeft bool) float64 {
	side := d.vertices[v].right
	if ofLeft {
		side = d.vertices[v].left
	}
	if len(side) == 0 {
		return float64(d.vertices[v].at)
	}
	sum := 0
	for _, n := range side {
		sum += d.vertices[n].at
	}
	return float64(sum) / float64(len(side))
}

// exchange has two that stand together change places as long as fewer lines cross
// by that.
func (d *drawing) exchange() {
	const passes = 4
	for range passes {
		better := false
		for _, layer := range d.layers {
			for i := range len(layer) - 1 {
				a, b := layer[i], layer[i+1]
				if d.between(b, a) < d.between(a, b) {
					layer[i], layer[i+1] = b, a
					d.vertices[a].at, d.vertices[b].at = i+1, i
					better = true
				}
			}
		}
		if !better {
			return
		}
	}
}

// between is how many lines of two vertices cross where the first stands above
// the second.
func (d *drawing) between(above, below int) int {
	a, b := &d.vertices[above], &d.vertices[below]
	n := 0
	for _, sides := range [][2][]int{{a.left, b.left}, {a.right, b.right}} {
		for _, x := range sides[0] {
			for _, y := range sides[1] {
				if d.vertices[x].at > d.vertices[y].at {
					n++
				}
			}
		}
	}
	return n
}

// crossings is how many lines cross in all.
func (d *drawing) crossings() int {
	n := 0
	for _, layer := range d.layers {
		var ends []int // on the right, in the order of the beginnings
		for _, v := range layer {
			from := len(ends)
			for _, to := range d.vertices[v].right {
				ends = append(ends, d.vertices[to].at)
			}
			slices.Sort(ends[from:])
		}
		n += inversions(ends)
	}
	return n
}

// inversions is how many pairs stand the wrong way round. It sorts them.
func inversions(all []int) int {
	if len(all) < 2 {
		return 0
	}
	half := len(all) / 2
	left, right := slices.Clone(all[:half]), slices.Clone(all[half:])
	n := inversions(left) + inversions(right)
	for i := range all {
		if len(right) == 0 || len(left) > 0 && left[0] <= right[0] {
			all[i], left = left[0], left[1:]
			continue
		}
		n += len(left)
		all[i], right = right[0], right[1:]
	}
	return n
}
