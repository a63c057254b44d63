package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/gowarren/warren/internal/openurl"
)

const (
	sqliteBusyTimeout = 10 * time.Second
	sqlitePoll        = 4 * time.Millisecond
	sqlitePrepared    = 256
)

// openSQLite reads sqlite:path. One connection writes and several read: a file
// takes one writer at a time, and a queue in the process is fairer and faster
// than many that ask for the lock over and over.
func openSQLite(_ context.Context, u *url.URL) (*engine, error) {
	path, err := sqlitePath(u)
	if err != nil {
		return nil, err
	}
	p := openurl.NewParams(u)
	synchronous := p.String("synchronous", "full")
	wait := p.Duration("busy_timeout", sqliteBusyTimeout)
	maxOpen := p.Int("max_open", 0)
	if err := p.Err(); err != nil {
		return nil, err
	}
	if levels := []string{"off", "normal", "full", "extra"}; !slices.Contains(levels, synchronous) {
		return nil, fmt.Errorf("parameter \"synchronous\" is one of %s", strings.Join(levels, ", "))
	}
	file := sqliteFile{path: path, synchronous: synchronous, patience: polling(wait)}
	return &engine{
		dialect: SQLite,
		place:   placeOf(SQLite, filepath.Base(path), "", 0),
		write:   file.connector("?_txlock=immediate"),
		read:    file.connector("", "PRAGMA query_only = ON"),
		maxOpen: maxOpen,
		fault:   sqliteFault,
	}, nil
}

func sqlitePath(u *url.URL) (string, error) {
	path, err := url.PathUnescape(u.Opaque)
	switch {
	case err != nil:
		return "", fmt.Errorf("malformed path: %w", err)
	case u.Host != "":
		return "", fmt.Errorf("write sqlite:%s%s for a relative path, sqlite:/%s%s for an absolute one", u.Host, u.Path, u.Host, u.Path)
	case path == "":
		path = u.Path
	}
	switch {
	case path == "" || strings.HasSuffix(path, "/"):
		return "", errors.New("the URL names no file, as in sqlite:data/shop.db")
	case strings.Contains(path, ":memory:"):
		return "", errors.New("a database in memory has one connection and is lost with it: name a file")
	}
	return filepath.Abs(path)
}

type sqliteFile struct {
	path        string
	synchronous string
	patience    func(context.Context, func() error) error
}

// create makes the file, for its owner only, if there is none: it may hold
// what nobody else on the machine should read. SQLite's own files beside it get
// its mode.
func (f sqliteFile) create() error {
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(f.path, os.O_RDONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}

func (f sqliteFile) connector(query string, setup ...string) *connector {
	name := (&url.URL{Scheme: "file", Path: f.path}).String() + query
	return &connector{
		open: func(context.Context) (driver.Conn, error) {
			if err := f.create(); err != nil {
				return nil, &failure{fault: faultAway, cause: err}
			}
			return new(sqlite.Driver).Open(name)
		},
		setup: append([]string{
			// Waiting is done by patience, which a context can end.
			"PRAGMA busy_timeout = 0",
			"PRAGMA journal_mode = WAL",
			"PRAGMA synchronous = " + f.synchronous,
			"PRAGMA foreign_keys = ON",
			"PRAGMA journal_size_limit = 67108864",
			// As on the other databases.
			"PRAGMA case_sensitive_like = ON",
		}, setup...),
		prepared:    sqlitePrepared,
		patience:    f.patience,
		interrupter: sqliteInterrupter,
	}
}

// polling waits for a lock that another process holds. The pauses don't grow, or
// who waited longest would come last.
func polling(limit time.Duration) func(context.Context, func() error) error {
	return func(ctx context.Context, do func() error) error {
		err := do()
		if err == nil || sqliteFault(err) != faultBusy {
			return err
		}
		timeout := time.NewTimer(limit)
		defer timeout.Stop()
		for {
			select {
			case <-ctx.Done():
				return errors.Join(ctx.Err(), err)
			case <-timeout.C:
				return fmt.Errorf("locked for %v: %w", limit, err)
			case <-time.After(sqlitePoll/4 + rand.N(sqlitePoll)):
			}
			if err = do(); err == nil || sqliteFault(err) != faultBusy {
				return err
			}
		}
	}
}

func sqliteFault(err error) fault {
	coded, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return faultOther
	}
	switch coded.Code() {
	case codes.SQLITE_CONSTRAINT_UNIQUE, codes.SQLITE_CONSTRAINT_PRIMARYKEY, codes.SQLITE_CONSTRAINT_ROWID:
		return faultConflict
	case codes.SQLITE_CONSTRAINT_FOREIGNKEY:
		return faultReference
	}
	switch coded.Code() & 0xff {
	case codes.SQLITE_BUSY, codes.SQLITE_LOCKED:
		return faultBusy
	case codes.SQLITE_CANTOPEN, codes.SQLITE_IOERR, codes.SQLITE_FULL:
		return faultAway
	}
	return faultOther
}
