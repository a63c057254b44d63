package archive

import (
	"math"
	"slices"
	"time"

	"github.com/gowarren/warren/internal/signals/segment"
)

// SearchLines finds lines, newest first.
func (a *Archive) SearchLines(q segment.LineQuery) (Page[*segment.Line], error) {
	if q.To == 0 {
		q.To = math.MaxInt64
	}
	return gather(a, q.Window, q.Limit, q.Deadline,
		func(i segment.Info) int64 { return i.LastLine },
		func(l *segment.Line) int64 { return l.ID },
		func(s *segment.Segment, floor int64) (segment.Found[*segment.Line], error) {
			part := q
			part.From = max(part.From, floor)
			return s.Lines(part)
		})
}

// CountLines counts the lines that match. Partial says that it counted the
// newest only.
func (a *Archive) CountLines(q segment.LineQuery) (Page[segment.Count], error) {
	if q.To == 0 {
		q.To = math.MaxInt64
	}
	var page Page[segment.Count]
	for _, s := range slices.Backward(a.snapshot()) {
		if info := s.Info(); info.Lines == 0 || info.LastLine < q.From || info.FirstLine >= q.To {
			continue
		}
		if time.Now().After(q.Deadline) {
			page.Partial = true
			break
		}
		found, err := s.Counts(q)
		if err = a.readable(s, err); err != nil {
			return page, err
		}
		page.Items = append(page.Items, found.Items...)
		page.Partial = page.Partial || found.Reached > q.From
	}
	return page, nil
}

// Line returns a line by its file and its time, nil where there is none.
func (a *Archive) Line(number, id int64) (*segment.Line, error) {
	for _, s := range a.snapshot() {
		if s.Number() != number {
			continue
		}
		found, err := s.After(segment.LineQuery{Window: segment.Window{From: id, To: id + 1}, Limit: 1})
		if err = a.readable(s, err); err != nil || len(found) == 0 {
			return nil, err
		}
		return found[0], nil
	}
	return nil, nil //nolint:nilnil // that there is none is an answer
}

// After returns lines from a time on, oldest first.
func (a *Archive) After(q segment.LineQuery) ([]*segment.Line, error) {
	if q.To == 0 {
		q.To = math.MaxInt64
	}
	var out []*segment.Line
	for _, s := range a.snapshot() {
		if info := s.Info(); info.LastLine < q.From {
			continue
		}
		some, err := s.After(q)
		if err = a.readable(s, err); err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	slices.SortStableFunc(out, func(x, y *segment.Line) int { return int(x.ID - y.ID) })
	return out[:min(len(out), q.Limit)], nil
}
