package metricstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// Kind is what an expression evaluates to.
type Kind string

// The kinds of results.
const (
	Vector Kind = "vector" // Series with one point each
	Scalar Kind = "scalar" // Value
	Matrix Kind = "matrix" // Series
	Text   Kind = "string" // Text
)

// Point is a value at a moment.
type Point struct {
	Time  time.Time
	Value float64
}

// Series is a label set, with "__name__" where it has one, and its values.
type Series struct {
	Labels map[string]string
	Points []Point
}

// Result is the answer to a question.
type Result struct {
	Kind     Kind
	Series   []Series
	Value    float64
	Text     string
	Warnings []string
}

// What is wrong with a question, or with asking it now.
var (
	ErrInvalid = errors.New("invalid query")
	ErrTooMuch = errors.New("query exceeds a limit")
	ErrBusy    = errors.New("too many queries at once")
	ErrClosed  = errors.New("the store of metrics is closed")
)

// Query evaluates an expression at one moment; limit is how many series the
// answer may have, 0: what the limits say.
func (s *Store) Query(ctx context.Context, query string, at time.Time, limit int) (Result, error) {
	return s.run(ctx, limit, func(ctx context.Context) (promql.Query, error) {
		return s.engine.Load().NewInstantQuery(ctx, s.db, nil, query, at)
	})
}

// QueryRange evaluates an expression at every step of a range.
func (s *Store) QueryRange(ctx context.Context, query string, start, end time.Time, step time.Duration, limit int) (Result, error) {
	if end.Before(start) || step <= 0 {
		return Result{}, fmt.Errorf("%w: the range ends before it starts, or has no step", ErrInvalid)
	}
	if most := s.limits.Load().MaxPoints; end.Sub(start)/step >= time.Duration(most) {
		return Result{}, fmt.Errorf("%w: %d points of each series, of at most %d; take a longer step or a shorter range",
			ErrTooMuch, end.Sub(start)/step+1, most)
	}
	return s.run(ctx, limit, func(ctx context.Context) (promql.Query, error) {
		return s.engine.Load().NewRangeQuery(ctx, s.db, nil, query, start, end, step)
	})
}

// Step is the step for a range that nobody chose one for: a chart has no more
// pixels, and between two scrapes there is nothing.
func (s *Store) Step(start, end time.Time) time.Duration {
	const points = 250
	return max((end.Sub(start) / points).Truncate(time.Second), s.limits.Load().ScrapeInterval)
}

func (s *Store) run(ctx context.Context, limit int, prepare func(context.Context) (promql.Query, error)) (result Result, err error) {
	limits := s.limits.Load()
	began := time.Now()
	defer func() { s.metrics.observe(began, outcome(err)) }()
	defer s.running.Add(-1)
	if s.running.Add(1) > int64(limits.Concurrent) {
		return Result{}, fmt.Errorf("%w: %d are being worked on", ErrBusy, limits.Concurrent)
	}
	done, err := s.use()
	if err != nil {
		return Result{}, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, limits.QueryTimeout)
	defer cancel()
	q, err := prepare(ctx)
	if err != nil {
		return Result{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	defer q.Close()
	found := q.Exec(ctx)
	if found.Err != nil {
		return Result{}, explain(found.Err)
	}
	result = translate(found.Value)
	warnings, infos := found.Warnings.AsStrings(q.String(), 0, 0)
	result.Warnings = append(result.Warnings, append(warnings, infos...)...)
	s.cutSeries(&result, limit)
	return result, nil
}

// cutSeries leaves out series beyond the limit, and says so.
func (s *Store) cutSeries(r *Result, limit int) {
	most := s.most(limit)
	if len(r.Series) <= most {
		return
	}
	r.Warnings = append(r.Warnings, fmt.Sprintf("only the first %d of %d series are shown", most, len(r.Series)))
	r.Series = r.Series[:most]
	s.metrics.cut.Inc()
}

func (s *Store) most(limit int) int {
	most := s.limits.Load().MaxSeries
	if limit > 0 {
		most = min(most, limit)
	}
	return most
}

// explain sorts the engine's errors into those of the caller, of the limits,
// and others.
func explain(err error) error {
	var (
		timeout  promql.ErrQueryTimeout
		canceled promql.ErrQueryCanceled
		samples  promql.ErrTooManySamples
		storage  promql.ErrStorage
	)
	switch {
	case errors.As(err, &canceled):
		return fmt.Errorf("query: %w", context.Canceled)
	case errors.As(err, &timeout), errors.As(err, &samples):
		return fmt.Errorf("%w: %w", ErrTooMuch, err)
	case errors.As(err, &storage):
		return fmt.Errorf("query: %w", err)
	}
	return fmt.Errorf("%w: %w", ErrInvalid, err)
}

func outcome(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, ErrInvalid):
		return "invalid"
	case errors.Is(err, ErrTooMuch):
		return "limit"
	case errors.Is(err, ErrBusy):
		return "busy"
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	return "error"
}

// mostAnswered is how many points all series of an answer may have: more can
// neither be sent at once nor looked at.
const mostAnswered = 100_000

func translate(v parser.Value) Result {
	switch v := v.(type) {
	case promql.Vector:
		r := Result{Kind: Vector}
		for _, sample := range v {
			if sample.H != nil {
				r.Warnings = noHistograms(r.Warnings)
				continue
			}
			r.Series = append(r.Series, Series{Labels: sample.Metric.Map(), Points: []Point{{moment(sample.T), sample.F}}})
		}
		return r
	case promql.Matrix:
		r, points := Result{Kind: Matrix}, 0
		for n, series := range v {
			if points += len(series.Floats); points > mostAnswered && n > 0 {
				r.Warnings = append(r.Warnings, fmt.Sprintf("only the first %d of %d series are shown: take a longer step or a shorter range", n, len(v)))
				break
			}
			if len(series.Histograms) > 0 {
				r.Warnings = noHistograms(r.Warnings)
			}
			one := Series{Labels: series.Metric.Map(), Points: make([]Point, len(series.Floats))}
			for n, p := range series.Floats {
				one.Points[n] = Point{moment(p.T), p.F}
			}
			r.Series = append(r.Series, one)
		}
		return r
	case promql.Scalar:
		return Result{Kind: Scalar, Value: v.V}
	case promql.String:
		return Result{Kind: Text, Text: v.V}
	}
	return Result{}
}

func noHistograms(warnings []string) []string {
	const left = "native histograms are left out; ask for their histogram_quantile, histogram_sum or histogram_count"
	if slices.Contains(warnings, left) {
		return warnings
	}
	return append(warnings, left)
}

func moment(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
