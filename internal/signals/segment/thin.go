package segment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
)

// Keep says what is kept of a segment that is thinned: traces that failed, took
// long or belong to a transaction, a share of the others, the lines of all
// these, and serious lines.
type Keep struct {
	Slow int64 // nanoseconds
	One  int64 // in so many of the other traces; 0: none
}

// Thinned is what was not kept.
type Thinned struct{ Spans, Lines int64 }

const temporary = ".tmp"

// Thin writes the file anew with what is kept, and takes its place. Whatever
// ends it midway, the file is the old one or the new one.
func (s *Segment) Thin(keep Keep) (out Thinned, err error) {
	before := s.Info()
	next := s.path + temporary
	if err := remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		return out, fmt.Errorf("thin segment: %w", err)
	}
	if err := thin(s.path, next, before.Created, keep); err != nil {
		return out, errors.Join(fmt.Errorf("thin segment: %w", broken(err)), remove(next))
	}
	if err := flush(next); err != nil {
		return out, errors.Join(fmt.Errorf("thin segment: %w", err), remove(next))
	}
	if err := s.become(next); err != nil {
		return out, errors.Join(fmt.Errorf("thin segment: %w", err), remove(next))
	}
	after, err := s.load()
	if err != nil {
		return out, fmt.Errorf("thin segment: %w", err)
	}
	after.Number, after.Sealed = s.number, true
	s.info.Store(after)
	return Thinned{Spans: before.Spans - after.Spans, Lines: before.Lines - after.Lines}, nil
}

// become takes another file for its own, unless it was removed meanwhile.
func (s *Segment) become(next string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return os.ErrNotExist
	}
	if err := s.closeRead(); err != nil {
		return err
	}
	// A log that could not be folded in, since the disk was full or somebody else
	// reads the file, would be taken for that of the new one.
	if _, err := os.Stat(s.path + "-wal"); !errors.Is(err, os.ErrNotExist) {
		return errors.Join(errors.New("the file has a log"), err)
	}
	return os.Rename(next, s.path)
}

// flush brings a file to the disk.
func flush(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// thin copies what is kept from one file to a new one.
func thin(from, to string, created int64, keep Keep) (err error) {
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	// Nothing is lost with the new file until it takes the old one's place.
	db, err := sql.Open("sqlite", address(to, "journal_mode(OFF)", "synchronous(OFF)", "cache_size(-8192)"))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1) // what is attached, is so to one connection
	defer func() { err = errors.Join(err, db.Close()) }()
	ctx := context.Background()
	exec := func(text string, args ...any) {
		if err == nil {
			_, err = db.ExecContext(ctx, text, args...)
		}
	}
	exec("ATTACH ? AS o", "file:"+(&url.URL{Path: from}).EscapedPath()+"?mode=rw") // which makes none where there is none
	exec(schema)
	exec(`INSERT INTO traces SELECT * FROM o.traces
		WHERE errors > 0 OR gid <> '' OR duration >= ? OR (? > 0 AND id % max(?, 1) = 0)`, keep.Slow, keep.One, keep.One)
	exec(fmt.Sprintf("INSERT INTO chunks SELECT c.* FROM traces CROSS JOIN o.chunks AS c ON c.id >= traces.id << %d AND c.id < (traces.id + 1) << %d",
		chunkBits, chunkBits))
	exec("INSERT INTO terms SELECT t.* FROM o.terms AS t WHERE t.trace IN (SELECT id FROM traces)")
	exec("INSERT INTO names SELECT * FROM o.names")
	exec("INSERT INTO sources SELECT * FROM o.sources")
	exec("INSERT INTO logs SELECT * FROM o.logs WHERE level >= ? OR trace IN (SELECT trace FROM traces)", LevelWarn)
	exec("INSERT INTO words (rowid, text) SELECT id, message || ' ' || coalesce(CAST(attributes AS TEXT), '') FROM logs")
	exec("INSERT INTO counts SELECT id / 60000000000, source, level, count(*) FROM logs GROUP BY 1, 2, 3")
	exec("INSERT INTO links SELECT * FROM o.links")
	exec("INSERT INTO calls SELECT * FROM o.calls")
	exec("INSERT INTO meta SELECT 'spans', coalesce(sum(stored), 0) FROM traces")
	exec("INSERT INTO meta VALUES ('format', ?), ('created', ?), ('thinned', 1)", format, created)
	exec("DETACH o")
	return err
}

// RemoveUnfinished deletes what a thinning that was cut off has left.
func RemoveUnfinished(path string) error {
	if err := remove(path + temporary); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
