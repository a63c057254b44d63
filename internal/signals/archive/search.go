package archive

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/gowarren/warren/internal/signals/segment"
)

// TraceSearch is what is asked of traces; what is empty says nothing.
type TraceSearch struct {
	Service, Operation string
	Min, Max           time.Duration
	Errors             bool
	Attributes         map[string]string
	From, To           int64 // Unix nanoseconds; To 0: now and later
	Slowest            bool
	Limit              int
	Patience           time.Duration
}

// Page is a part of what was found.
type Page[T any] struct {
	Items   []T
	Partial bool  // the search stopped when its time was up
	Next    int64 // where it goes on, as To; 0: there is no more
}

func (q *TraceSearch) query(now time.Time) segment.TraceQuery {
	out := segment.TraceQuery{
		Window: segment.Window{From: q.From, To: q.To}, Min: int64(q.Min), Max: int64(q.Max),
		Limit: q.Limit, Deadline: now.Add(q.Patience),
	}
	if out.To == 0 {
		out.To = math.MaxInt64
	}
	switch {
	case q.Service != "" && q.Operation != "":
		out.Terms = append(out.Terms, operationTerm(q.Service, q.Operation))
	case q.Service != "":
		out.Terms = append(out.Terms, serviceTerm(q.Service))
	case q.Operation != "":
		out.Terms = append(out.Terms, nameTerm(q.Operation))
	}
	if q.Errors {
		out.Terms = append(out.Terms, errorTerm())
	}
	for key, value := range q.Attributes {
		out.Terms = append(out.Terms, attributeTerm(key, value))
	}
	return out
}

// SearchTraces finds traces. A trace that lies in two files is found once on a
// page, and put together.
func (a *Archive) SearchTraces(q TraceSearch) (Page[segment.Summary], error) {
	query := q.query(time.Now())
	if q.Slowest {
		return a.slowest(query)
	}
	find := func(s *segment.Segment, floor int64) (segment.Found[segment.Summary], error) {
		part := query
		part.From = max(part.From, floor)
		return s.Traces(part)
	}
	last := func(i segment.Info) int64 { return i.LastTrace }
	page, err := gather(a, query.Window, query.Limit, query.Deadline, last, func(s segment.Summary) int64 { return s.At }, find)
	page.Items = a.joined(page.Items)
	return page, err
}

// gather asks the files from the newest on, until the page is full and no other
// file can have anything newer than its last item.
func gather[T any](a *Archive, w segment.Window, limit int, deadline time.Time,
	last func(segment.Info) int64, at func(T) int64, find func(s *segment.Segment, floor int64) (segment.Found[T], error),
) (Page[T], error) {
	all := a.snapshot()
	slices.SortStableFunc(all, func(x, y *segment.Segment) int { return cmp.Compare(last(y.Info()), last(x.Info())) })
	var page Page[T]
	floor := w.From
	for _, s := range all {
		newest := last(s.Info())
		if newest < floor || newest == 0 {
			continue
		}
		if time.Now().After(deadline) {
			floor, page.Partial = max(floor, min(w.To, newest+1)), true
			break
		}
		found, err := find(s, floor)
		if err = a.readable(s, err); err != nil {
			return page, err
		}
		page.Items = append(page.Items, found.Items...)
		slices.SortStableFunc(page.Items, func(x, y T) int { return cmp.Compare(at(y), at(x)) })
		if found.Reached > floor && len(found.Items) < limit {
			floor, page.Partial = found.Reached, true
		}
		if len(page.Items) >= limit {
			page.Items = page.Items[:limit]
			floor = max(floor, at(page.Items[limit-1]))
		}
	}
	for len(page.Items) > 0 && at(page.Items[len(page.Items)-1]) < floor {
		page.Items = page.Items[:len(page.Items)-1] // found behind what was not looked at
	}
	switch {
	case len(page.Items) >= limit && limit > 0:
		page.Next, page.Partial = at(page.Items[limit-1]), false
	case page.Partial:
		page.Next = floor
	}
	return page, nil
}

// readable takes a damaged file out of the way, and one that was just removed
// for empty.
func (a *Archive) readable(s *segment.Segment, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, segment.ErrBroken):
		a.abandon(s, err)
		return nil
	case !slices.Contains(a.snapshot(), s):
		return nil
	}
	return err
}

// joined puts the parts of traces together that lie in files next to one another.
func (a *Archive) joined(found []segment.Summary) []segment.Summary {
	var out []segment.Summary
	place := map[segment.ID]int{}
	for _, s := range found {
		if i, ok := place[s.Trace]; ok {
			out[i].Merge(&s)
			continue
		}
		place[s.Trace] = len(out)
		out = append(out, s)
	}
	return out
}

// mostRead is how many bytes of one trace are read: what is small on disk, since
// its spans say the same again and again, may be too much for the memory.
const mostRead = 64 << 20

// Trace returns a trace with its spans, nil where there is none.
func (a *Archive) Trace(id segment.ID) (summary *segment.Summary, spans []ptrace.Traces, err error) {
	read := 0
	for _, s := range a.snapshot() {
		part, data, err := s.Chunks(id)
		if err = a.readable(s, err); err != nil {
			return nil, nil, err
		}
		if part == nil {
			continue
		}
		if summary == nil {
			summary = part
		} else {
			summary.Merge(part)
		}
		for _, chunk := range data {
			if read > mostRead {
				summary.Truncated = true
				break
			}
			td, bytes, err := a.codec.decode(chunk)
			if err != nil {
				a.opts.Logger.Warn("reading spans", "file", s.Path(), "error", err)
				continue
			}
			read += bytes
			spans = append(spans, td)
		}
	}
	return summary, spans, nil
}

// Operations returns services and the names of their spans, each once. One that
// makes up ever new names hides no other.
func (a *Archive) Operations() ([]segment.Operation, error) {
	const newest, each, most = 24, 500, 3000
	all := a.snapshot()
	known := map[segment.Operation]struct{}{}
	for _, s := range all[max(0, len(all)-newest):] {
		some, err := s.Operations(each, most)
		if err = a.readable(s, err); err != nil {
			return nil, err
		}
		for _, o := range some {
			known[o] = struct{}{}
		}
	}
	out := make([]segment.Operation, 0, len(known))
	for o := range known {
		out = append(out, o)
	}
	slices.SortFunc(out, func(x, y segment.Operation) int {
		return cmp.Or(cmp.Compare(x.Service, y.Service), cmp.Compare(x.Name, y.Name))
	})
	of := map[string]int{}
	out = slices.DeleteFunc(out, func(o segment.Operation) bool { of[o.Service]++; return of[o.Service] > each })
	return out[:min(len(out), most)], nil
}

// Calls returns who called whom, from one minute to another.
func (a *Archive) Calls(from, to int64) ([]segment.Calls, error) {
	var out []segment.Calls
	for _, s := range a.snapshot() {
		if segment.Minute(s.Info().Created) > to {
			continue
		}
		some, err := s.Calls(from, to)
		if err = a.readable(s, err); err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

// Unpaired is how many calls had one side only, since the start.
func (a *Archive) Unpaired() int64 { return a.unpaired.Load() }
