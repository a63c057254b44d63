// Package segment is one file of the store of traces and logs: what came
// within an hour, or until the file was full. It is a SQLite database, so that
// whatever ends the process, what was committed is there.
package segment

import (
	"cmp"
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	_ "modernc.org/sqlite" // the engine
)

//go:embed schema.sql
var schema string

// format is the version of the schema; a file of another one is not read.
const format = 1

// Suffix ends the names of segments' files.
const Suffix = ".db"

// ErrBroken is the error of a file that is damaged, or no segment.
var ErrBroken = errors.New("the file is damaged")

// Segment is one file. One goroutine writes, any number read.
type Segment struct {
	path   string
	number int64

	mu    sync.RWMutex // held for reading while a query runs; closing waits
	read  *sql.DB      // nil: closed, the next query opens it
	write *writer      // nil: sealed
	gone  bool         // the file is removed

	used atomic.Int64 // when it was last read, for whoever closes the idle
	info atomic.Pointer[Info]
}

// Info is what a segment holds.
type Info struct {
	Number                int64
	Created               int64 // Unix nanoseconds
	Traces, Spans, Lines  int64
	FirstTrace, LastTrace int64 // their index times; 0: there is none
	FirstLine, LastLine   int64
	Longest               int64 // no trace took longer; nanoseconds
	Thinned               bool
	Sealed                bool
}

// Create makes a new file to write to.
func Create(path string, number, now int64) (*Segment, error) {
	s := &Segment{path: path, number: number}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // for its owner only
	if err != nil {
		return nil, fmt.Errorf("create segment: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("create segment: %w", err)
	}
	w, err := openWriter(path)
	if err != nil {
		return nil, fmt.Errorf("create segment: %w", err)
	}
	if err := w.create(now); err != nil {
		return nil, errors.Join(fmt.Errorf("create segment: %w", err), w.close(), remove(path))
	}
	s.write = w
	s.info.Store(&Info{Number: number, Created: now})
	return s, nil
}

// Open opens a file that is there, to read.
func Open(path string, number int64) (*Segment, error) {
	s := &Segment{path: path, number: number}
	info, err := s.load()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open segment %s: %w", filepath.Base(path), err), s.Close())
	}
	info.Number, info.Sealed = number, true
	s.info.Store(info)
	return s, nil
}

// Resume makes a segment that was opened one to write to, as it was before its
// process ended.
func (s *Segment) Resume() error {
	w, err := openWriter(s.path)
	if err != nil {
		return fmt.Errorf("resume segment: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.write = w
	info := *s.info.Load()
	info.Sealed = false
	s.info.Store(&info)
	return nil
}

// Number names the segment: later ones have higher numbers.
func (s *Segment) Number() int64 { return s.number }

// Path is its file.
func (s *Segment) Path() string { return s.path }

// Info is what it holds, as of the last write.
func (s *Segment) Info() Info { return *s.info.Load() }

// Bytes is what it takes on disk.
func (s *Segment) Bytes() int64 {
	var n int64
	for _, suffix := range [...]string{"", "-wal", "-journal"} {
		if info, err := os.Stat(s.path + suffix); err == nil {
			n += info.Size()
		}
	}
	return n
}

// Seal ends writing: the file takes no more, and has none beside it.
func (s *Segment) Seal() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.write == nil {
		return nil
	}
	err := errors.Join(s.closeRead(), s.write.seal(), s.write.close())
	s.write = nil
	info := *s.info.Load()
	info.Sealed = true
	s.info.Store(&info)
	return err
}

// Close gives back what the segment holds open. Queries open it again.
func (s *Segment) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.close()
}

func (s *Segment) close() error {
	err := s.closeRead()
	if s.write != nil {
		err = errors.Join(err, s.write.close())
		s.write = nil
	}
	return err
}

// Idle closes the connections that read, if it was not used since.
func (s *Segment) Idle(since int64) error {
	if s.used.Load() >= since || !s.mu.TryLock() {
		return nil
	}
	defer s.mu.Unlock()
	return s.closeRead()
}

// Remove deletes the file. It does not come back: neither by a query that has
// waited for this, nor by being thinned.
func (s *Segment) Remove() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	return errors.Join(s.close(), remove(s.path))
}

func (s *Segment) closeRead() error {
	if s.read == nil {
		return nil
	}
	err := s.read.Close()
	s.read = nil
	return err
}

func remove(path string) error {
	err := os.Remove(path)
	for _, suffix := range [...]string{"-wal", "-shm", "-journal"} {
		if e := os.Remove(path + suffix); e != nil && !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// readers is how many queries of one segment run at once.
const readers = 2

// reading runs a query, on connections that are opened if need be.
func (s *Segment) reading(now int64, query func(*sql.DB) error) error {
	s.used.Store(now)
	s.mu.RLock()
	for s.read == nil {
		s.mu.RUnlock()
		if err := s.openRead(); err != nil {
			return err
		}
		s.mu.RLock()
	}
	defer s.mu.RUnlock()
	return broken(query(s.read))
}

func (s *Segment) openRead() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.read != nil {
		return nil
	}
	if _, err := os.Stat(s.path); err != nil || s.gone { // SQLite would make an empty one
		return fmt.Errorf("open segment: %w", cmp.Or(err, os.ErrNotExist))
	}
	db, err := sql.Open("sqlite", address(s.path, "query_only(1)", "cache_size(-1024)"))
	if err != nil {
		return fmt.Errorf("open segment: %w", err)
	}
	db.SetMaxOpenConns(readers)
	db.SetMaxIdleConns(readers)
	s.read = db
	return nil
}

func address(path string, pragmas ...string) string {
	q := url.Values{"_pragma": append(pragmas, "busy_timeout(10000)", "temp_store(2)")}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// load reads what the file holds.
func (s *Segment) load() (*Info, error) {
	info := &Info{}
	err := s.reading(0, func(db *sql.DB) error {
		ctx := context.Background()
		values, err := meta(ctx, db)
		if err != nil {
			return err
		}
		if values["format"] != format {
			return fmt.Errorf("%w: format %d, known is %d", ErrBroken, values["format"], format)
		}
		info.Created, info.Thinned = values["created"], values["thinned"] != 0
		info.Spans = values["spans"]
		return errors.Join(
			db.QueryRowContext(ctx, "SELECT count(*), coalesce(min(at), 0), coalesce(max(at), 0) FROM traces").
				Scan(&info.Traces, &info.FirstTrace, &info.LastTrace),
			db.QueryRowContext(ctx, "SELECT coalesce(max(duration), 0) FROM traces").Scan(&info.Longest),
			db.QueryRowContext(ctx, "SELECT coalesce(min(id), 0) FROM logs").Scan(&info.FirstLine),
			db.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) FROM logs").Scan(&info.LastLine),
			db.QueryRowContext(ctx, "SELECT coalesce(sum(lines), 0) FROM counts").Scan(&info.Lines),
		)
	})
	return info, err
}

func meta(ctx context.Context, db *sql.DB) (map[string]int64, error) {
	rows, err := db.QueryContext(ctx, "SELECT key, value FROM meta")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]int64{}
	for rows.Next() {
		var key string
		var value int64
		if err := rows.Scan(&key, &value); err != nil {
			return nil, err
		}
		out[key] = value
	}
	return out, rows.Err()
}

// broken tells a damaged file from other trouble.
func broken(err error) error {
	if err == nil || errors.Is(err, ErrBroken) {
		return err
	}
	var coded interface{ Code() int }
	if errors.As(err, &coded) {
		const corrupt, noDatabase, primary = 11, 26, 0xff
		if c := coded.Code() & primary; c == corrupt || c == noDatabase {
			return fmt.Errorf("%w: %w", ErrBroken, err)
		}
	}
	if strings.Contains(err.Error(), "no such table") {
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return err
}

// Name is the name of a segment's file: the hour in which it begins, for
// people, and its number.
func Name(hour string, number int64) string {
	return fmt.Sprintf("%s-%08d%s", hour, number, Suffix)
}

// ParseName is the number in the name of a file.
func ParseName(name string) (number int64, ok bool) {
	base, found := strings.CutSuffix(name, Suffix)
	i := strings.LastIndexByte(base, '-')
	if !found || i < 0 {
		return 0, false
	}
	number, err := strconv.ParseInt(base[i+1:], 10, 64)
	return number, err == nil
}
