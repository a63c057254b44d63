package segment

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"
)

// TraceQuery is what is asked of traces.
type TraceQuery struct {
	Window
	Terms    []int64 // all of them
	Min, Max int64   // duration in nanoseconds; Max 0: any
	Limit    int
	Deadline time.Time
	slowest  bool // the longest first, not the newest
}

// Found is what a segment found.
type Found[T any] struct {
	Items []T
	// Reached is how far back it looked: all from there on is found. It is the
	// window's From where it looked at all of it.
	Reached int64
}

// Traces returns summaries, newest first, at most the limit.
func (s *Segment) Traces(q TraceQuery) (Found[Summary], error) {
	info := s.Info()
	out := Found[Summary]{Reached: q.From}
	in := Window{max(q.From, info.FirstTrace), min(q.To, info.LastTrace+1)}
	if info.Traces == 0 || in.From >= in.To {
		return out, nil
	}
	err := s.reading(time.Now().UnixNano(), func(db *sql.DB) error {
		lead, few, err := rarest(db, q.Terms, rare)
		if err != nil || few == 0 {
			return err
		}
		find := func(w Window) error {
			more, err := traces(db, q, w, lead, q.Limit-len(out.Items))
			out.Items = append(out.Items, more...)
			return err
		}
		if few < rare {
			return find(in)
		}
		reached, err := windows(in, q.Deadline, func(w Window) (bool, error) {
			err := find(w)
			return len(out.Items) >= q.Limit, err
		})
		if reached > in.From {
			out.Reached = reached
		}
		return err
	})
	if len(out.Items) >= q.Limit && len(out.Items) > 0 {
		out.Reached = out.Items[len(out.Items)-1].At
	}
	return out, err
}

// rare is how few traces may have a term for all of them to be looked at.
const rare = 2000

// rarest is the term that the fewest traces have, and how many these are, as
// far as it matters; without terms, many.
func rarest(db *sql.DB, terms []int64, most int) (term int64, few int, err error) {
	few = most + 1
	for _, candidate := range terms {
		var n int
		err := db.QueryRowContext(context.Background(),
			"SELECT count(*) FROM (SELECT 1 FROM terms WHERE term = ? LIMIT ?)", candidate, most).Scan(&n)
		if err != nil {
			return 0, 0, err
		}
		if n < few {
			term, few = candidate, n
		}
	}
	return term, few, nil
}

// traces asks for those of a window that have the terms, of which one leads.
func traces(db *sql.DB, q TraceQuery, w Window, lead int64, limit int) ([]Summary, error) {
	var text strings.Builder
	var args []any
	and := func(condition string, values ...any) {
		text.WriteString(" AND " + condition)
		args = append(args, values...)
	}
	if len(q.Terms) > 0 {
		text.WriteString("SELECT " + traceColumns + " FROM (SELECT trace AS found, at AS found_at FROM terms AS lead WHERE term = ? AND at >= ? AND at < ?")
		args = append(args, lead, w.From, w.To)
		for _, term := range q.Terms { // before anything is read of the trace
			if term != lead {
				and("EXISTS (SELECT 1 FROM terms AS t WHERE t.term = ? AND t.at = lead.at AND t.trace = lead.trace)", term)
			}
		}
		if !q.slowest {
			text.WriteString(" ORDER BY at DESC")
		}
		text.WriteString(") CROSS JOIN traces ON traces.id = found WHERE 1")
	} else {
		text.WriteString("SELECT " + traceColumns + " FROM traces WHERE at >= ? AND at < ?")
		args = append(args, w.From, w.To)
	}
	and("stored > 0")
	if q.Min > 0 {
		and("duration >= ?", q.Min)
	}
	if q.Max > 0 {
		and("duration <= ?", q.Max)
	}
	switch {
	case q.slowest:
		text.WriteString(" ORDER BY duration DESC, traces.at DESC LIMIT ?")
	case len(q.Terms) > 0:
		text.WriteString(" ORDER BY found_at DESC LIMIT ?")
	default:
		text.WriteString(" ORDER BY at DESC LIMIT ?")
	}
	return summaries(db, text.String(), append(args, limit))
}

// Trace returns the summary of a trace, nil where there is none.
func (s *Segment) Trace(id ID) (out *Summary, err error) {
	err = s.reading(time.Now().UnixNano(), func(db *sql.DB) error {
		row, err := find(db, id)
		if row != nil {
			out = &row.Summary
		}
		return err
	})
	return out, err
}

// Chunks returns a trace and its spans as they were encoded.
func (s *Segment) Chunks(id ID) (summary *Summary, data [][]byte, err error) {
	err = s.reading(time.Now().UnixNano(), func(db *sql.DB) error {
		row, err := find(db, id)
		if err != nil || row == nil {
			return err
		}
		summary = &row.Summary
		rows, err := db.QueryContext(context.Background(), "SELECT data FROM chunks WHERE id >= ? AND id < ? ORDER BY id",
			row.id<<chunkBits, (row.id+1)<<chunkBits)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var chunk []byte
			if err := rows.Scan(&chunk); err != nil {
				return err
			}
			data = append(data, chunk)
		}
		return rows.Err()
	})
	return summary, data, err
}

func find(db *sql.DB, id ID) (*trace, error) {
	row, err := scanTrace(db.QueryRowContext(context.Background(), "SELECT "+traceColumns+" FROM traces WHERE trace = ?", id[:]).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil // that there is none is an answer
	}
	return row, err
}

// Operations returns the names of spans, at most so many of each service and of all.
func (s *Segment) Operations(each, limit int) (out []Operation, err error) {
	err = s.reading(time.Now().UnixNano(), func(db *sql.DB) error {
		rows, err := db.QueryContext(context.Background(), `SELECT service, operation
			FROM (SELECT service, operation, row_number() OVER (PARTITION BY service ORDER BY operation) AS n FROM names)
			WHERE n <= ? ORDER BY service, operation LIMIT ?`, each, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var o Operation
			if err := rows.Scan(&o.Service, &o.Name); err != nil {
				return err
			}
			out = append(out, o)
		}
		return rows.Err()
	})
	return out, err
}

// Calls returns who called whom from one minute to another, both included.
func (s *Segment) Calls(from, to int64) (out []Calls, err error) {
	err = s.reading(time.Now().UnixNano(), func(db *sql.DB) error {
		rows, err := db.QueryContext(context.Background(), `SELECT origin, target, system, version, bucket, sum(calls), sum(errors)
			FROM calls CROSS JOIN links ON links.id = link WHERE minute BETWEEN ? AND ? GROUP BY link, bucket`, from, to)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var c Calls
			if err := rows.Scan(&c.Origin, &c.Target, &c.System, &c.Version, &c.Bucket, &c.Calls, &c.Errors); err != nil {
				return err
			}
			out = append(out, c)
		}
		return rows.Err()
	})
	return out, err
}

// Merge puts what two segments know of one trace together.
func (s *Summary) Merge(o *Summary) {
	if o.Rooted && !s.Rooted || o.Rooted == s.Rooted && o.Start < s.Start {
		s.Service, s.Name, s.Rooted = o.Service, o.Name, o.Rooted
	}
	s.At = min(s.At, o.At)
	s.Start, s.End = extended(s.Start, s.End, false, s.Trusted, o.Start, o.End, o.Trusted)
	s.Duration = s.End - s.Start
	s.Spans += o.Spans
	s.Errors += o.Errors
	s.Skewed, s.Trusted, s.Truncated = s.Skewed || o.Skewed, s.Trusted || o.Trusted, s.Truncated || o.Truncated
	if s.OrderID == "" {
		s.OrderID = o.OrderID
	}
	if s.GID == "" {
		s.GID = o.GID
	}
	s.Services = union(slices.Clone(s.Services), o.Services)
}
