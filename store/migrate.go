package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"strings"
	"time"
)

// The history has a set, so that Warren's own tables can have steps besides the
// service's.
const (
	serviceSet    = "service"
	createHistory = `CREATE TABLE IF NOT EXISTS warren_migrations (
	step_set VARCHAR(64) NOT NULL,
	version BIGINT NOT NULL,
	name VARCHAR(200) NOT NULL,
	checksum VARCHAR(64) NOT NULL,
	statements_done BIGINT NOT NULL,
	started_at BIGINT NOT NULL,
	finished_at BIGINT,
	PRIMARY KEY (step_set, version))`
	readHistory = `SELECT version, name, checksum, statements_done, finished_at IS NOT NULL
	FROM warren_migrations WHERE step_set = ? ORDER BY version`
	writeHistory = `INSERT INTO warren_migrations
	(step_set, version, name, checksum, statements_done, started_at, finished_at) VALUES (?, ?, ?, ?, ?, ?, ?)`
)

// Migrate brings the schema up to what fsys has, in files migrations/0001_name.sql
// (or without the folder), each once and in order. 0001_name.postgres.sql goes
// before 0001_name.sql on PostgreSQL, and so for sqlite and mysql. Many instances
// may call it at once: one works, the others wait.
//
// A step that was edited after it was applied, that has the number of another, or
// that the database has and the program doesn't know is refused with
// [ErrMigration]. Steps later than all of the program's are a newer release's, and
// only noted: a release can be rolled back, or run beside the next one.
//
// On SQLite and PostgreSQL a step is applied wholly or not at all. On MySQL each
// statement of it is for ever; a step that stopped half way goes on with the
// statement that went wrong.
func (db *DB) Migrate(ctx context.Context, fsys fs.FS) error {
	return db.MigrateSet(ctx, serviceSet, fsys)
}

// MigrateSet is Migrate for tables that belong to somebody other than the
// service, such as Warren's own: the steps of each set are numbered and checked
// by themselves.
func (db *DB) MigrateSet(ctx context.Context, set string, fsys fs.FS) error {
	if err := db.outside(ctx); err != nil {
		return err
	}
	have, err := readMigrations(fsys, db.Dialect())
	if err != nil {
		return fmt.Errorf("migrate database %q: %w", db.name, err)
	}
	if err := db.migrate(ctx, set, have); err != nil {
		return fmt.Errorf("migrate database %q: %w", db.name, err)
	}
	return nil
}

func (db *DB) migrate(ctx context.Context, set string, have []migration) error {
	// Most starts find nothing to do, and need neither the lock nor the right to
	// create tables for that.
	done, err := db.history(ctx, db, set)
	if err == nil {
		next, _, ahead, err := pending(have, done)
		db.noteAhead(ctx, ahead)
		if err != nil || next == nil {
			return err
		}
	} else if errors.Is(err, ErrUnavailable) || ctx.Err() != nil {
		return err
	}
	if db.Dialect() == MySQL {
		return db.migrateStatements(ctx, set, have)
	}
	for {
		finished := false
		err := db.InTx(ctx, func(ctx context.Context, tx *Tx) (err error) {
			finished, err = db.migrateOne(ctx, tx, set, have)
			return err
		})
		if err != nil || finished {
			return err
		}
	}
}

func (db *DB) noteAhead(ctx context.Context, ahead []string) {
	if len(ahead) > 0 {
		db.opts.Logger.WarnContext(ctx, "schema is newer than this program", "database", db.name, "steps", strings.Join(ahead, ", "))
	}
}

// migrateOne applies the next step in a transaction that keeps others out.
func (db *DB) migrateOne(ctx context.Context, tx *Tx, set string, have []migration) (finished bool, err error) {
	if db.Dialect() == PostgreSQL {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(?)", lockNumber("warren migrations")); err != nil {
			return false, err
		}
	}
	if _, err := tx.Exec(ctx, createHistory); err != nil {
		return false, err
	}
	done, err := db.history(ctx, tx, set)
	if err != nil {
		return false, err
	}
	next, _, _, err := pending(have, done)
	if err != nil || next == nil {
		return true, err
	}
	started := time.Now()
	if len(split(next.body)) > 0 {
		// All at once: the server, not we, knows where a trigger's body ends.
		if _, err := tx.tx.ExecContext(context.WithValue(ctx, scriptKey{}, true), next.body); err != nil {
			tx.note(db.explain(ctx, err))
			return false, fmt.Errorf("%w: %s: %w", ErrMigration, next.name, tx.err)
		}
	}
	_, err = tx.Exec(ctx, writeHistory, set, next.version, next.name, next.checksum, 0, started, time.Now())
	if err != nil {
		return false, err
	}
	db.opts.Logger.InfoContext(ctx, "schema migrated", "database", db.name, "step", next.name, "duration", time.Since(started))
	return false, nil
}

func (db *DB) history(ctx context.Context, q Querier, set string) ([]applied, error) {
	rows, err := q.Query(ctx, readHistory, set)
	if err != nil {
		return nil, err
	}
	return readApplied(rows)
}

func readApplied(rows *Rows) ([]applied, error) {
	defer func() { _ = rows.Close() }()
	var out []applied
	for rows.Next() {
		var a applied
		if err := rows.Scan(&a.version, &a.name, &a.checksum, &a.done, &a.finished); err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, rows.Err()
}

// lockNumber is a lock's name as PostgreSQL wants it.
func lockNumber(name string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return int64(h.Sum64()) // any 64 bits will do
}

// session is one connection as a Querier, for what is bound to a connection.
type session struct {
	db   *DB
	conn *sql.Conn
}

func (s session) Query(ctx context.Context, query string, args ...any) (*Rows, error) {
	return s.db.query(ctx, s.conn, query, args)
}

func (s session) QueryRow(ctx context.Context, query string, args ...any) *Row {
	rows, err := s.Query(ctx, query, args...)
	return &Row{rows: rows, err: err}
}

func (s session) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	return s.db.exec(ctx, s.conn, query, args)
}
