package archive

import (
	"cmp"
	"slices"
	"time"

	"github.com/gowarren/warren/internal/signals/segment"
)

// slowest merges what the files have, the one with the longest trace first: as
// soon as the page is full, its last duration is the least that the others are
// asked for, and those without any as long are not asked at all.
func (a *Archive) slowest(q segment.TraceQuery) (Page[segment.Summary], error) {
	all := a.snapshot()
	slices.SortStableFunc(all, func(x, y *segment.Segment) int { return cmp.Compare(y.Info().Longest, x.Info().Longest) })
	var page Page[segment.Summary]
	for _, s := range all {
		if s.Info().Longest < q.Min {
			break
		}
		if time.Now().After(q.Deadline) {
			page.Partial = true
			break
		}
		found, partial, err := s.Slowest(q)
		if err = a.readable(s, err); err != nil {
			return page, err
		}
		page.Partial = page.Partial || partial
		page.Items = a.joined(append(page.Items, found...))
		slices.SortStableFunc(page.Items, func(x, y segment.Summary) int {
			return cmp.Or(cmp.Compare(y.Duration, x.Duration), cmp.Compare(y.At, x.At))
		})
		if q.Limit > 0 && len(page.Items) >= q.Limit {
			page.Items = page.Items[:q.Limit]
			q.Min = max(q.Min, page.Items[q.Limit-1].Duration)
		}
	}
	return page, nil
}
