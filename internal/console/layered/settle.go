package layered

// settle finds heights: each vertex wants to stand where its neighbours do, and
// lines want to be straight, as far as the order and the room between them let it.
func (d *drawing) settle() {
	for _, layer := range d.layers {
		y := 0.0
		for i, v := range layer {
			if i > 0 {
				y += d.room(layer[i-1], v)
			}
			d.vertices[v].y = y
		}
		for _, v := range layer {
			d.vertices[v].y -= y / 2
		}
	}
	const rounds = 12
	for round := range rounds {
		last := round == rounds-1
		for i := range d.layers {
			d.pull(i, true, last)
		}
		for i := range d.layers {
			d.pull(len(d.layers)-1-i, last, true)
		}
	}
}

// room is how far apart the middles of two that stand together have to be.
func (d *drawing) room(above, below int) float64 {
	a, b := d.passes(above), d.passes(below)
	switch {
	case a && b:
		return float64(d.m.Lane)
	case a || b:
		return float64(d.m.Height)/2 + float64(d.m.Lane)
	}
	return float64(d.m.Height + d.m.GapY)
}

// pull moves a layer to where its neighbours on one side, or on both, want it.
func (d *drawing) pull(layer int, byLeft, byRight bool) {
	row := d.layers[layer]
	want, weight, room := make([]float64, len(row)), make([]float64, len(row)), make([]float64, len(row))
	for i, v := range row {
		want[i], weight[i] = d.wish(v, byLeft, byRight)
		if i > 0 {
			room[i] = d.room(row[i-1], v)
		}
	}
	for i, y := range apart(want, weight, room) {
		d.vertices[row[i]].y = y
	}
}

// wish is where a vertex wants to be, and how much.
func (d *drawing) wish(v int, byLeft, byRight bool) (y, weight float64) {
	const straight = 4 // a line that passes wants it more than a node
	one := &d.vertices[v]
	sum, n := 0.0, 0.0
	add := func(side []int) {
		for _, next := range side {
			sum, n = sum+d.vertices[next].y, n+1
		}
	}
	if byLeft {
		add(one.left)
	}
	if byRight {
		add(one.right)
	}
	weight = 1
	if d.passes(v) {
		weight = straight
	}
	if n == 0 {
		return one.y, weight
	}
	return sum / n, weight
}

// apart is as near to what is wanted as the room before each lets it: those that
// want the same room share it, by their weight.
func apart(want, weight, room []float64) []float64 {
	type block struct {
		sum, weight float64
		n           int
	}
	var blocks []block
	offset, offsets := 0.0, make([]float64, len(want))
	for i := range want {
		offset += room[i]
		offsets[i] = offset
		one := block{(want[i] - offset) * weight[i], weight[i], 1}
		for len(blocks) > 0 {
			before := blocks[len(blocks)-1]
			if before.sum/before.weight < one.sum/one.weight {
				break
			}
			one = block{before.sum + one.sum, before.weight + one.weight, before.n + one.n}
			blocks = blocks[:len(blocks)-1]
		}
		blocks = append(blocks, one)
	}
	out := make([]float64, 0, len(want))
	for _, b := range blocks {
		for range b.n {
			out = append(out, b.sum/b.weight+offsets[len(out)])
		}
	}
	return out
}
