package segment

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"
)

// LineQuery is what is asked of lines.
type LineQuery struct {
	Window
	Words     string // in the language of FTS5; "": any
	MinLevel  int
	Services  []string
	Instances []string
	Trace     []byte // nil: any
	Limit     int
	Deadline  time.Time
}

// uncounted says whether the query asks for more than is counted when lines are written.
func (q *LineQuery) uncounted() bool { return q.Words != "" || len(q.Trace) > 0 }

// window is the part of the query's time that the segment has lines of.
func (s *Segment) window(q LineQuery) (Window, bool) {
	info := s.Info()
	w := Window{max(q.From, info.FirstLine), min(q.To, info.LastLine+1)}
	return w, info.Lines > 0 && w.From < w.To
}

// Lines returns lines, newest first, at most the limit.
func (s *Segment) Lines(q LineQuery) (Found[*Line], error) {
	out := Found[*Line]{Reached: q.From}
	in, ok := s.window(q)
	if !ok {
		return out, nil
	}
	err := s.reading(time.Now().UnixNano(), func(db *sql.DB) error {
		sources, err := s.sources(db, q)
		if err != nil || sources.none {
			return err
		}
		reached, err := windows(in, q.Deadline, func(w Window) (bool, error) {
			more, err := s.lines(db, q, w, sources, q.Limit-len(out.Items))
			out.Items = append(out.Items, more...)
			return len(out.Items) >= q.Limit, err
		})
		if reached > in.From {
			out.Reached = reached
		}
		return err
	})
	if len(out.Items) >= q.Limit && len(out.Items) > 0 {
		out.Reached = out.Items[len(out.Items)-1].ID
	}
	return out, err
}

// After returns lines from a time on, oldest first, at most the limit.
func (s *Segment) After(q LineQuery) (out []*Line, err error) {
	in, ok := s.window(q)
	if !ok {
		return nil, nil
	}
	err = s.reading(time.Now().UnixNano(), func(db *sql.DB) error {
		sources, err := s.sources(db, q)
		if err != nil || sources.none {
			return err
		}
		text, args := q.text(wholeLine, in, sources, "ASC")
		out, err = s.scan(db, sources, text, append(args, q.Limit))
		return err
	})
	return out, err
}

// sources are those that a query is about, and all of the segment by id.
type sources struct {
	all    map[int64]Operation
	wanted []int64
	some   bool // only those wanted
	none   bool // and there are none
}

func (s *Segment) sources(db *sql.DB, q LineQuery) (sources, error) {
	out := sources{all: map[int64]Operation{}, some: len(q.Services)+len(q.Instances) > 0}
	rows, err := db.QueryContext(context.Background(), "SELECT id, service, instance FROM sources ORDER BY id")
	if err != nil {
		return out, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var o Operation
		if err := rows.Scan(&id, &o.Service, &o.Name); err != nil {
			return out, err
		}
		out.all[id] = o
		if (len(q.Services) == 0 || slices.Contains(q.Services, o.Service)) && (len(q.Instances) == 0 || slices.Contains(q.Instances, o.Name)) {
			out.wanted = append(out.wanted, id)
		}
	}
	out.none = out.some && len(out.wanted) == 0
	return out, rows.Err()
}

// wholeLine are the columns that scan reads.
const wholeLine = "logs.id, level, source, trace, span, message, attributes"

// text is the query as SQL; its last parameter is the limit.
func (q *LineQuery) text(columns string, w Window, from sources, order string) (string, []any) {
	var b strings.Builder
	b.WriteString("SELECT " + columns + " FROM ")
	var args []any
	id := "logs.id"
	switch {
	case q.Words != "":
		id = "words.rowid"
		b.WriteString("words CROSS JOIN logs ON logs.id = words.rowid WHERE words MATCH ? AND")
		args = append(args, q.Words)
	case len(q.Trace) > 0:
		b.WriteString("logs INDEXED BY logs_trace WHERE")
	case q.MinLevel >= LevelWarn:
		b.WriteString("logs INDEXED BY logs_serious WHERE level >= 3 AND")
	default:
		b.WriteString("logs WHERE")
	}
	b.WriteString(" " + id + " >= ? AND " + id + " < ?")
	args = append(args, w.From, w.To)
	if q.MinLevel > LevelDebug {
		b.WriteString(" AND level >= ?")
		args = append(args, q.MinLevel)
	}
	if len(q.Trace) > 0 {
		b.WriteString(" AND trace = ?")
		args = append(args, q.Trace)
	}
	if from.some {
		b.WriteString(" AND source IN (?" + strings.Repeat(", ?", len(from.wanted)-1) + ")")
		for _, id := range from.wanted {
			args = append(args, id)
		}
	}
	b.WriteString(" ORDER BY " + id + " " + order + " LIMIT ?")
	return b.String(), args
}

func (s *Segment) lines(db *sql.DB, q LineQuery, w Window, from sources, limit int) ([]*Line, error) {
	text, args := q.text(wholeLine, w, from, "DESC")
	return s.scan(db, from, text, append(args, limit))
}

func (s *Segment) scan(db *sql.DB, from sources, text string, args []any) ([]*Line, error) {
	rows, err := db.QueryContext(context.Background(), text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []*Line
	for rows.Next() {
		l := &Line{Segment: s.number}
		var source int64
		if err := rows.Scan(&l.ID, &l.Level, &source, &l.Trace, &l.Span, &l.Message, &l.Attributes); err != nil {
			return nil, err
		}
		l.Service, l.Instance = from.all[source].Service, from.all[source].Name
		out = append(out, l)
	}
	return out, rows.Err()
}

// Count is how many lines of one kind stand in one minute.
type Count struct {
	Minute            int64
	Service, Instance string
	Level             int
	Lines             int64
}

// Counts counts the lines that match by minute, source and level, from the
// newest on until the deadline or the limit of lines that have to be looked at.
func (s *Segment) Counts(q LineQuery) (Found[Count], error) {
	out := Found[Count]{Reached: q.From}
	in, ok := s.window(q)
	if !ok {
		return out, nil
	}
	err := s.reading(time.Now().UnixNano(), func(db *sql.DB) error {
		from, err := s.sources(db, q)
		if err != nil || from.none {
			return err
		}
		if !q.uncounted() {
			out.Items, err = counted(db, q, in, from)
			return err
		}
		sum := map[Count]int64{}
		looked := 0
		reached, err := windows(in, q.Deadline, func(w Window) (bool, error) {
			n, err := count(db, q, w, from, sum)
			looked += n
			return looked >= q.Limit, err
		})
		if reached > in.From {
			out.Reached = reached
		}
		for c, n := range sum {
			c.Lines = n
			out.Items = append(out.Items, c)
		}
		slices.SortFunc(out.Items, func(a, b Count) int { return cmp.Compare(a.Minute, b.Minute) })
		return err
	})
	return out, err
}

// counted reads the counts that were kept when the lines were written.
func counted(db *sql.DB, q LineQuery, w Window, from sources) ([]Count, error) {
	rows, err := db.QueryContext(context.Background(),
		"SELECT minute, source, level, lines FROM counts WHERE minute BETWEEN ? AND ? AND level >= ?",
		Minute(w.From), Minute(w.To-1), q.MinLevel)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Count
	for rows.Next() {
		var c Count
		var source int64
		if err := rows.Scan(&c.Minute, &source, &c.Level, &c.Lines); err != nil {
			return nil, err
		}
		if from.some && !slices.Contains(from.wanted, source) {
			continue
		}
		c.Service, c.Instance = from.all[source].Service, from.all[source].Name
		out = append(out, c)
	}
	return out, rows.Err()
}

// count counts the lines of a window that match.
func count(db *sql.DB, q LineQuery, w Window, from sources, sum map[Count]int64) (int, error) {
	text, args := q.text("logs.id, level, source", w, from, "DESC")
	rows, err := db.QueryContext(context.Background(), text, append(args, q.Limit)...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var id, source int64
		var c Count
		if err := rows.Scan(&id, &c.Level, &source); err != nil {
			return n, err
		}
		c.Minute, c.Service, c.Instance = Minute(id), from.all[source].Service, from.all[source].Name
		sum[c]++
		n++
	}
	return n, rows.Err()
}
