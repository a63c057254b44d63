package metricstore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

// Where says where to look for names: series that one of the selectors finds,
// none meaning all, with samples in the time.
type Where struct {
	Selectors  []string
	Start, End time.Time
	Limit      int
}

// LabelNames lists names of labels, sorted; cut tells of more than the limit.
func (s *Store) LabelNames(ctx context.Context, w Where) (names []string, cut bool, err error) {
	return s.gather(ctx, w, func(ctx context.Context, q storage.Querier, m []*labels.Matcher) ([]string, error) {
		found, _, err := q.LabelNames(ctx, nil, m...)
		return found, err
	})
}

// LabelValues lists the values of a label that contain some letters, sorted.
func (s *Store) LabelValues(ctx context.Context, label, contains string, w Where) (values []string, cut bool, err error) {
	contains = strings.ToLower(contains)
	return s.gather(ctx, w, func(ctx context.Context, q storage.Querier, m []*labels.Matcher) ([]string, error) {
		found, _, err := q.LabelValues(ctx, label, nil, m...)
		return slices.DeleteFunc(slices.Clone(found), func(v string) bool {
			return !strings.Contains(strings.ToLower(v), contains)
		}), err
	})
}

type look func(context.Context, storage.Querier, []*labels.Matcher) ([]string, error)

// gather unites what a look finds for each selector.
func (s *Store) gather(ctx context.Context, w Where, look look) ([]string, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.limits.Load().QueryTimeout)
	defer cancel()
	var out []string
	err := s.eachSelector(w, func(q storage.Querier, m []*labels.Matcher) error {
		found, err := look(ctx, q, m)
		for _, f := range found {
			out = append(out, strings.Clone(f)) // it may lie in a file that is unmapped
		}
		return err
	})
	if err != nil {
		return nil, false, err
	}
	slices.Sort(out)
	out = slices.Compact(out)
	most, room := s.most(w.Limit), answerBytes
	for n, text := range out {
		const overhead = 4
		if room -= len(text) + overhead; n >= most || room < 0 {
			s.metrics.cut.Inc()
			return out[:n], true, nil
		}
	}
	return out, false, nil
}

func (s *Store) eachSelector(w Where, f func(storage.Querier, []*labels.Matcher) error) error {
	done, err := s.use()
	if err != nil {
		return err
	}
	defer done()
	q, err := s.db.Querier(w.Start.UnixMilli(), w.End.UnixMilli())
	if err != nil {
		return fmt.Errorf("look into the store of metrics: %w", err)
	}
	defer q.Close()
	sets := [][]*labels.Matcher{nil}
	if len(w.Selectors) > 0 {
		if sets, err = s.parser.ParseMetricSelectors(w.Selectors); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	for _, set := range sets {
		if err := f(q, set); err != nil {
			return fmt.Errorf("look into the store of metrics: %w", err)
		}
	}
	return nil
}

// Series lists the label sets that the selectors find.
func (s *Store) Series(ctx context.Context, w Where) (found []map[string]string, cut bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.limits.Load().QueryTimeout)
	defer cancel()
	most := s.most(w.Limit)
	seen := map[uint64]bool{}
	err = s.eachSelector(w, func(q storage.Querier, m []*labels.Matcher) error {
		hints := &storage.SelectHints{Start: w.Start.UnixMilli(), End: w.End.UnixMilli(), Func: "series"}
		set := q.Select(ctx, true, hints, m...)
		for set.Next() && !cut {
			l := set.At().Labels()
			if seen[l.Hash()] {
				continue
			}
			seen[l.Hash()] = true
			if cut = len(found) == most; !cut {
				found = append(found, l.Map())
			}
		}
		return set.Err()
	})
	if cut {
		s.metrics.cut.Inc()
	}
	return found, cut, err
}

// Append writes samples as if they had been scraped: of the past, or of what
// has no target. They must not be older than what their series have.
func (s *Store) Append(ctx context.Context, all ...Series) error {
	app := s.db.Appender(ctx)
	for _, series := range all {
		l := labels.FromMap(series.Labels)
		for _, p := range series.Points {
			if _, err := app.Append(0, l, p.Time.UnixMilli(), p.Value); err != nil {
				_ = app.Rollback()
				return fmt.Errorf("append to the series %s: %w", l, err)
			}
		}
	}
	if err := app.Commit(); err != nil {
		return fmt.Errorf("append to the store of metrics: %w", err)
	}
	return nil
}
