package segment

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Sizes of what a writer remembers of its own file; what is not in there is
// looked up.
const (
	rememberedTraces = 20_000
	rememberedNames  = 10_000 // also the most operations that are listed
	chunkBits        = 20     // chunks of one trace: 2^20
)

// Flags of a trace.
const (
	flagRooted = 1 << iota
	flagTruncated
	flagSkewed
	flagTrusted
)

// writer is the one connection that writes.
type writer struct {
	db      *sql.DB
	traces  map[ID]*trace // as they are in the file
	names   map[Operation]struct{}
	sources map[Operation]int64 // by service and instance
	links   map[link]int64
	info    Info
}

type link struct{ origin, target, system, version string }

// trace is a row of the table.
type trace struct {
	Summary
	id             int64
	stored, chunks int
	bytes          int64
}

func openWriter(path string) (*writer, error) {
	db, err := sql.Open("sqlite", address(path,
		"auto_vacuum(0)", "journal_mode(WAL)", "synchronous(NORMAL)", "cache_size(-8192)", "journal_size_limit(4194304)")+"&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	w := &writer{db: db}
	w.forget()
	return w, nil
}

// forget empties what may not be as the file is any more.
func (w *writer) forget() {
	w.traces = make(map[ID]*trace)
	w.names = make(map[Operation]struct{})
	w.sources = make(map[Operation]int64)
	w.links = make(map[link]int64)
}

func (w *writer) create(now int64) error {
	if _, err := w.db.ExecContext(context.Background(), schema); err != nil {
		return err
	}
	_, err := w.db.ExecContext(context.Background(),
		"INSERT INTO meta (key, value) VALUES ('format', ?), ('created', ?), ('thinned', 0), ('spans', 0)", format, now)
	return err
}

func (w *writer) close() error { return w.db.Close() }

// seal folds the write-ahead log into the file, and does without one.
func (w *writer) seal() error {
	if _, err := w.db.ExecContext(context.Background(), "PRAGMA journal_mode = DELETE"); err != nil {
		return fmt.Errorf("seal segment: %w", err)
	}
	return nil
}

// Write writes a batch: all of it, or nothing.
func (s *Segment) Write(batch *Batch, limits Limits) (Written, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	w := s.write
	if w == nil {
		return Written{}, errors.New("write to segment: it is sealed")
	}
	w.info = *s.info.Load()
	out, err := w.batch(batch, limits)
	if err != nil {
		w.forget()
		return Written{}, broken(fmt.Errorf("write to segment: %w", err))
	}
	info := w.info
	s.info.Store(&info)
	return out, nil
}

func (w *writer) batch(batch *Batch, limits Limits) (out Written, err error) {
	ctx := context.Background()
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return out, err
	}
	defer func() { _ = tx.Rollback() }() // after a commit, nothing
	t := &statements{tx: tx, prepared: map[string]*sql.Stmt{}}
	defer t.close()
	if err := w.chunks(t, batch.Chunks, limits, &out); err != nil {
		return out, err
	}
	if err := w.lines(t, batch.Lines); err != nil {
		return out, err
	}
	out.Lines = int64(len(batch.Lines))
	for _, c := range batch.Calls {
		if err := w.calls(t, c); err != nil {
			return out, err
		}
	}
	if out.Spans > 0 {
		if _, err := t.exec("UPDATE meta SET value = value + ? WHERE key = 'spans'", out.Spans); err != nil {
			return out, err
		}
	}
	w.info.Spans += out.Spans
	w.info.Lines += out.Lines
	return out, tx.Commit()
}

// statements prepares each statement of a transaction once.
type statements struct {
	tx       *sql.Tx
	prepared map[string]*sql.Stmt
}

func (t *statements) get(text string) (*sql.Stmt, error) {
	if s := t.prepared[text]; s != nil {
		return s, nil
	}
	s, err := t.tx.PrepareContext(context.Background(), text)
	if err == nil {
		t.prepared[text] = s
	}
	return s, err
}

func (t *statements) exec(text string, args ...any) (sql.Result, error) {
	s, err := t.get(text)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(context.Background(), args...)
}

func (t *statements) row(text string, args []any, into ...any) error {
	s, err := t.get(text)
	if err != nil {
		return err
	}
	return s.QueryRowContext(context.Background(), args...).Scan(into...)
}

func (t *statements) close() {
	for _, s := range t.prepared {
		_ = s.Close()
	}
}

func (w *writer) chunks(t *statements, chunks []*Chunk, limits Limits, out *Written) error {
	if len(w.traces)+len(chunks) > rememberedTraces {
		w.traces = make(map[ID]*trace)
	}
	changed := make(map[*trace]struct{}, len(chunks))
	for _, c := range chunks {
		row, err := w.trace(t, c)
		if err != nil {
			return err
		}
		changed[row] = struct{}{}
		row.merge(c)
		w.info.Longest = max(w.info.Longest, row.Duration)
		if row.stored+c.Spans > limits.Spans || row.bytes+int64(len(c.Data)) > limits.Bytes || row.chunks >= 1<<chunkBits {
			row.Truncated = true
			out.Over += int64(c.Spans)
			continue
		}
		if _, err := t.exec("INSERT INTO chunks (id, data) VALUES (?, ?)", row.id<<chunkBits|int64(row.chunks), c.Data); err != nil {
			return err
		}
		row.chunks++
		row.stored += c.Spans
		row.bytes += int64(len(c.Data))
		out.Spans += int64(c.Spans)
		if err := w.find(t, row, c); err != nil {
			return err
		}
	}
	for row := range changed {
		if err := row.update(t); err != nil {
			return err
		}
	}
	return nil
}

// trace is the row of a trace, which is made if there is none.
func (w *writer) trace(t *statements, c *Chunk) (*trace, error) {
	if row := w.traces[c.Trace]; row != nil {
		return row, nil
	}
	row, err := scanTrace(func(into ...any) error {
		return t.row("SELECT "+traceColumns+" FROM traces WHERE trace = ?", []any{c.Trace[:]}, into...)
	})
	if errors.Is(err, sql.ErrNoRows) {
		row, err = w.newTrace(t, c)
	}
	if err != nil {
		return nil, err
	}
	w.traces[c.Trace] = row
	return row, nil
}

func (w *writer) newTrace(t *statements, c *Chunk) (*trace, error) {
	row := &trace{Summary: Summary{
		Trace: c.Trace, At: c.At, Start: c.Start, End: c.End, Service: c.Service, Name: c.Name, Rooted: c.Rooted,
		Skewed: c.Skewed, Trusted: c.Trusted,
	}}
	res, err := t.exec(`INSERT INTO traces
		(trace, at, start, finish, duration, spans, stored, errors, chunks, bytes, service, name, services, order_id, gid, flags)
		VALUES (?, ?, 0, 0, 0, 0, 0, 0, 0, 0, '', '', '', '', '', 0)`, c.Trace[:], c.At)
	if err != nil {
		return nil, err
	}
	if row.id, err = res.LastInsertId(); err != nil {
		return nil, err
	}
	w.info.Traces++
	if w.info.FirstTrace == 0 || c.At < w.info.FirstTrace {
		w.info.FirstTrace = c.At
	}
	w.info.LastTrace = max(w.info.LastTrace, c.At)
	return row, nil
}

// merge adds what a chunk says of the trace.
func (r *trace) merge(c *Chunk) {
	if c.Rooted && !r.Rooted || c.Rooted == r.Rooted && c.Start < r.Start {
		r.Service, r.Name, r.Rooted = c.Service, c.Name, c.Rooted
	}
	r.Start, r.End = extended(r.Start, r.End, false, r.Trusted, c.Start, c.End, c.Trusted)
	r.Duration = r.End - r.Start
	r.Spans += c.Spans
	r.Errors += c.Errors
	r.Skewed, r.Trusted = r.Skewed || c.Skewed, r.Trusted || c.Trusted
	r.OrderID, r.GID = cmp.Or(r.OrderID, c.OrderID), cmp.Or(r.GID, c.GID)
	r.Services = union(r.Services, c.Services)
}

// maxServices bounds the services listed of one trace.
const maxServices = 100

func union(a, b []string) []string {
	for _, s := range b {
		if i, found := slices.BinarySearch(a, s); !found && len(a) < maxServices {
			a = slices.Insert(slices.Clip(a), i, s)
		}
	}
	return a
}

func (r *trace) update(t *statements) error {
	flags := 0
	for flag, set := range map[int]bool{flagRooted: r.Rooted, flagTruncated: r.Truncated, flagSkewed: r.Skewed, flagTrusted: r.Trusted} {
		if set {
			flags |= flag
		}
	}
	_, err := t.exec(`UPDATE traces SET start = ?, finish = ?, duration = ?, spans = ?, stored = ?, errors = ?, chunks = ?, bytes = ?,
		service = ?, name = ?, services = ?, order_id = ?, gid = ?, flags = ? WHERE id = ?`,
		r.Start, r.End, r.Duration, r.Spans, r.stored, r.Errors, r.chunks, r.bytes,
		r.Service, r.Name, strings.Join(r.Services, "\n"), r.OrderID, r.GID, flags, r.id)
	return err
}

// find writes what the trace is found by.
func (w *writer) find(t *statements, row *trace, c *Chunk) error {
	for _, term := range c.Terms {
		if _, err := t.exec("INSERT OR IGNORE INTO terms (term, at, trace) VALUES (?, ?, ?)", term, row.At, row.id); err != nil {
			return err
		}
	}
	for _, o := range c.Operations {
		if _, known := w.names[o]; known || len(w.names) >= rememberedNames {
			continue
		}
		if _, err := t.exec("INSERT OR IGNORE INTO names (service, operation) VALUES (?, ?)", o.Service, o.Name); err != nil {
			return err
		}
		w.names[o] = struct{}{}
	}
	return nil
}

func (w *writer) lines(t *statements, lines []*Line) error {
	slices.SortStableFunc(lines, func(a, b *Line) int { return cmp.Compare(a.ID, b.ID) })
	counted := map[[3]int64]int64{}
	last := int64(math.MinInt64)
	for _, l := range lines {
		l.ID = max(l.ID, last+1)
		source, err := w.source(t, Operation{l.Service, l.Instance})
		if err != nil {
			return err
		}
		if err := w.line(t, l, source); err != nil {
			return err
		}
		last = l.ID
		counted[[3]int64{Minute(l.ID), source, int64(l.Level)}]++
	}
	for key, n := range counted {
		if _, err := t.exec(`INSERT INTO counts (minute, source, level, lines) VALUES (?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET lines = lines + excluded.lines`, key[0], key[1], key[2], n); err != nil {
			return err
		}
	}
	return nil
}

// line writes a line under its time, or soon after it where others have that: by
// a clock that only knows seconds, thousands. So the steps become longer.
func (w *writer) line(t *statements, l *Line, source int64) error {
	for step := int64(1); ; step *= 2 {
		res, err := t.exec("INSERT OR IGNORE INTO logs (id, level, source, trace, span, message, attributes) VALUES (?, ?, ?, ?, ?, ?, ?)",
			l.ID, l.Level, source, null(l.Trace), null(l.Span), l.Message, null(l.Attributes))
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return err
		}
		if n > 0 {
			break
		}
		l.ID += step
	}
	if w.info.FirstLine == 0 || l.ID < w.info.FirstLine {
		w.info.FirstLine = l.ID
	}
	w.info.LastLine = max(w.info.LastLine, l.ID)
	_, err := t.exec("INSERT INTO words (rowid, text) VALUES (?, ?)", l.ID, l.Message+" "+string(l.Attributes))
	return err
}

func null(b []byte) any {
	if len(b) == 0 || bytes.Count(b, []byte{0}) == len(b) {
		return nil
	}
	return b
}

func (w *writer) source(t *statements, key Operation) (int64, error) {
	if id, ok := w.sources[key]; ok {
		return id, nil
	}
	if len(w.sources) > rememberedNames {
		w.sources = make(map[Operation]int64)
	}
	if _, err := t.exec("INSERT OR IGNORE INTO sources (service, instance) VALUES (?, ?)", key.Service, key.Name); err != nil {
		return 0, err
	}
	var id int64
	err := t.row("SELECT id FROM sources WHERE service = ? AND instance = ?", []any{key.Service, key.Name}, &id)
	if err == nil {
		w.sources[key] = id
	}
	return id, err
}

func (w *writer) calls(t *statements, c Calls) error {
	key := link{c.Origin, c.Target, c.System, c.Version}
	id, ok := w.links[key]
	if !ok {
		if _, err := t.exec("INSERT OR IGNORE INTO links (origin, target, system, version) VALUES (?, ?, ?, ?)",
			c.Origin, c.Target, c.System, c.Version); err != nil {
			return err
		}
		if err := t.row("SELECT id FROM links WHERE origin = ? AND target = ? AND system = ? AND version = ?",
			[]any{c.Origin, c.Target, c.System, c.Version}, &id); err != nil {
			return err
		}
		if len(w.links) > rememberedNames {
			w.links = make(map[link]int64)
		}
		w.links[key] = id
	}
	_, err := t.exec(`INSERT INTO calls (minute, link, bucket, calls, errors) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET calls = calls + excluded.calls, errors = errors + excluded.errors`, c.Minute, id, c.Bucket, c.Calls, c.Errors)
	return err
}

// Minute is the minute of a time.
func Minute(ns int64) int64 {
	const minute = 60_000_000_000
	return ns / minute
}
