package flame

// Box is a frame with its place: X and Width are shares of what is shown, Row
// counts from the top.
type Box struct {
	*Frame
	X, Width float64
	Row      int
	// Above are those that lead to what is shown; they take all its width.
	Above bool
}

// Limits bound what is drawn.
type Limits struct {
	// Rows is the deepest that is drawn below the focus, Boxes the number of all.
	Rows, Boxes int
	// Share is the least of the focus that is wide enough to be seen.
	Share float64
}

// Layout places a frame, what leads to it, and what it called. What is too small
// or too much is left out; left tells how many frames.
func Layout(focus *Frame, limits Limits) (boxes []Box, left int) {
	for f := focus.Parent; f != nil; f = f.Parent {
		boxes = append([]Box{{Frame: f, Width: 1, Above: true}}, boxes...)
	}
	for i := range boxes {
		boxes[i].Row = i
	}
	first := len(boxes)
	// Row by row: where there are too many, the deepest are left out.
	for row := []Box{{Frame: focus, Width: 1, Row: first}}; len(row) > 0; {
		var next []Box
		for _, b := range row {
			if b.Row-first >= limits.Rows || len(boxes) >= limits.Boxes || b.Width < limits.Share {
				left += b.count()
				continue
			}
			boxes = append(boxes, b)
			next = append(next, b.called(focus.Total)...)
		}
		row = next
	}
	return boxes, left
}

// called places those that a frame called side by side below it.
func (b Box) called(whole int64) []Box {
	var out []Box
	x := b.X
	for _, c := range b.Children {
		width := float64(c.Total) / float64(max(whole, 1))
		out = append(out, Box{Frame: c, X: x, Width: width, Row: b.Row + 1})
		x += width
	}
	return out
}

// count is how many frames there are from here on.
func (f *Frame) count() int {
	n := 1
	for _, c := range f.Children {
		n += c.count()
	}
	return n
}
