package segment

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"strings"
	"time"
)

const (
	// durations is how many traces are passed between two looks at the clock.
	durations = 4096
	// countable is how many may have a term so that they are looked at after all,
	// when among the longest traces too few were found.
	countable = 20_000
)

// Slowest returns summaries, the longest first, at most the limit. It goes
// through the index of durations from its end, unless what is asked for is rare;
// partial says that its time was up before it had enough or was through.
func (s *Segment) Slowest(q TraceQuery) (found []Summary, partial bool, err error) {
	info := s.Info()
	q.From, q.To = max(q.From, info.FirstTrace), min(q.To, info.LastTrace+1)
	if info.Traces == 0 || q.From >= q.To || info.Longest < q.Min {
		return nil, false, nil
	}
	err = s.reading(time.Now().UnixNano(), func(db *sql.DB) error {
		lead, few, err := rarest(db, q.Terms, rare)
		switch {
		case err != nil || few == 0:
			return err
		case len(q.Terms) > 0 && few < rare && int64(few*few) <= int64(q.Limit)*info.Traces:
			// They are fewer than those that are passed from the other end until
			// so many are found.
			q.slowest = true
			found, err = traces(db, q, q.Window, lead, q.Limit)
			return err
		}
		found, partial, err = byDuration(db, q)
		return err
	})
	return found, partial, err
}

// byDuration goes down the index of durations, a piece at a time.
func byDuration(db *sql.DB, q TraceQuery) (found []Summary, partial bool, err error) {
	end := int64(math.MaxInt64)
	if q.Max > 0 {
		end = q.Max + 1
	}
	below := end
	for {
		least, last, err := pieceEnd(db, q, below)
		if err != nil {
			return nil, false, err
		}
		more, err := within(db, q, least, below, q.Limit-len(found))
		if err != nil {
			return nil, false, err
		}
		found = append(found, more...)
		switch {
		case last || len(found) >= q.Limit:
			return found, false, nil
		case !time.Now().Before(q.Deadline):
			return found, true, nil
		}
		if below == end { // the terms may be common, and few traces have all of them
			more, through, err := belowAll(db, q, least, q.Limit-len(found))
			if through || err != nil {
				return append(found, more...), false, err
			}
		}
		below = least
	}
}

// belowAll looks at all traces that have the rarest term, if there are not too
// many, for those that took less than a duration.
func belowAll(db *sql.DB, q TraceQuery, below int64, limit int) (found []Summary, through bool, err error) {
	lead, few, err := rarest(db, q.Terms, countable)
	if err != nil || len(q.Terms) == 0 || few >= countable {
		return nil, false, err
	}
	if below <= q.Min {
		return nil, true, nil
	}
	q.slowest, q.Max = true, below-1
	found, err = traces(db, q, q.Window, lead, limit)
	return found, true, err
}

// pieceEnd is the duration at which a piece of the index ends, and whether it is
// the last.
func pieceEnd(db *sql.DB, q TraceQuery, below int64) (least int64, last bool, err error) {
	err = db.QueryRowContext(context.Background(), `SELECT duration FROM traces INDEXED BY traces_duration
		WHERE duration >= ? AND duration < ? AND at >= ? AND at < ? ORDER BY duration DESC LIMIT 1 OFFSET ?`,
		q.Min, below, q.From, q.To, durations).Scan(&least)
	if errors.Is(err, sql.ErrNoRows) {
		return q.Min, true, nil
	}
	return least, false, err
}

// within asks for the traces that took from one duration to below another.
func within(db *sql.DB, q TraceQuery, least, below int64, limit int) ([]Summary, error) {
	var text strings.Builder
	text.WriteString("SELECT " + traceColumns + ` FROM traces INDEXED BY traces_duration
		WHERE duration >= ? AND duration < ? AND at >= ? AND at < ?`)
	args := []any{least, below, q.From, q.To}
	for _, term := range q.Terms {
		text.WriteString(" AND EXISTS (SELECT 1 FROM terms AS t WHERE t.term = ? AND t.at = traces.at AND t.trace = traces.id)")
		args = append(args, term)
	}
	text.WriteString(" AND stored > 0 ORDER BY duration DESC, at DESC LIMIT ?")
	return summaries(db, text.String(), append(args, limit))
}

// summaries reads rows of traceColumns.
func summaries(db *sql.DB, text string, args []any) ([]Summary, error) {
	rows, err := db.QueryContext(context.Background(), text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Summary
	for rows.Next() {
		row, err := scanTrace(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, row.Summary)
	}
	return out, rows.Err()
}
