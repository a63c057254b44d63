package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// lockWait is how long one request for the lock waits; it is asked again until
// the context ends.
const lockWait = 2 * time.Second

// migrateStatements applies all steps on MySQL, where each change of the schema
// is committed by itself: progress is written down after each statement.
func (db *DB) migrateStatements(ctx context.Context, set string, have []migration) (err error) {
	conn, err := db.write.Conn(ctx)
	if err != nil {
		return db.explain(ctx, err)
	}
	// The lock belongs to the connection and ends with it at the latest.
	defer func() { err = errors.Join(err, conn.Close()) }()
	s := session{db: db, conn: conn}
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if err := s.byteOrder(ctx); err != nil {
		return err
	}
	if _, err := s.Exec(ctx, createHistory); err != nil {
		return err
	}
	for {
		done, err := db.history(ctx, s, set)
		if err != nil {
			return err
		}
		next, at, _, err := pending(have, done)
		if err != nil || next == nil {
			return err
		}
		if err := s.apply(ctx, set, next, at); err != nil {
			return err
		}
	}
}

// lock keeps other migrators of this database out. The server's locks are common
// to its databases, so the name has the database in it.
func (s session) lock(ctx context.Context) (unlock func() error, err error) {
	const name = "CONCAT('warren ', SHA1(DATABASE()))"
	for {
		var got *int64
		if err := s.QueryRow(ctx, "SELECT GET_LOCK("+name+", ?)", lockWait.Seconds()).Scan(&got); err != nil {
			return nil, fmt.Errorf("lock migrations: %w", err)
		}
		if got != nil && *got == 1 {
			break
		}
	}
	return func() error {
		// Also when ctx has ended: the connection goes back to the pool.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
		defer cancel()
		_, err := s.Exec(ctx, "DO RELEASE_LOCK("+name+")")
		return err
	}, nil
}

// byteOrder makes new tables compare text byte by byte, as SQLite does. Without,
// "a" and "A" would be one key.
func (s session) byteOrder(ctx context.Context) error {
	var database, collation string
	err := s.QueryRow(ctx, "SELECT DATABASE(), @@collation_database").Scan(&database, &collation)
	if err != nil {
		return err
	}
	// The best that the server has: of MySQL 8, of MariaDB, of all.
	var best string
	err = s.QueryRow(ctx, `SELECT collation_name FROM information_schema.collations
		WHERE collation_name IN ('utf8mb4_0900_bin', 'utf8mb4_nopad_bin', 'utf8mb4_bin')
		ORDER BY CASE collation_name WHEN 'utf8mb4_0900_bin' THEN 1 WHEN 'utf8mb4_nopad_bin' THEN 2 ELSE 3 END LIMIT 1`).Scan(&best)
	if err != nil || collation == best {
		return err
	}
	if _, err := s.Exec(ctx, `ALTER DATABASE "`+database+`" CHARACTER SET utf8mb4 COLLATE `+best); err != nil {
		return fmt.Errorf("set the database's collation from %s to %s: %w", collation, best, err)
	}
	return nil
}

// apply runs the statements of a step that didn't run yet.
func (s session) apply(ctx context.Context, set string, m *migration, at applied) error {
	started := time.Now()
	if at.version == 0 {
		if _, err := s.Exec(ctx, writeHistory, set, m.version, m.name, checksum(""), 0, started, nil); err != nil {
			return err
		}
		at.checksum = checksum("")
	}
	statements := split(m.body)
	if int(at.done) > len(statements) || checksum(joined(statements[:at.done])) != at.checksum {
		return fmt.Errorf("%w: %s stopped after statement %d and its statements up to there have been edited since", ErrMigration, m.name, at.done)
	}
	for i := int(at.done); i < len(statements); i++ {
		if _, err := s.conn.ExecContext(context.WithValue(ctx, scriptKey{}, true), statements[i]); err != nil {
			err = fmt.Errorf("%w: %s: statement %d of %d: %w", ErrMigration, m.name, i+1, len(statements), s.db.explain(ctx, err))
			if i > 0 {
				err = fmt.Errorf("%w (%w)", err, errHalfDone)
			}
			return err
		}
		if err := s.progress(ctx, set, m, i+1, checksum(joined(statements[:i+1]))); err != nil {
			return fmt.Errorf("%s: statement %d of %d ran and is not noted: %w (%w)", m.name, i+1, len(statements), err, errHalfDone)
		}
	}
	_, err := s.Exec(ctx, `UPDATE warren_migrations SET checksum = ?, finished_at = ? WHERE step_set = ? AND version = ?`,
		m.checksum, time.Now(), set, m.version)
	if err == nil {
		s.db.opts.Logger.InfoContext(ctx, "schema migrated", "database", s.db.name, "step", m.name, "duration", time.Since(started))
	}
	return err
}

// progress notes how far a step came. While it isn't finished, its checksum is
// that of the statements that ran: the rest may still be mended.
func (s session) progress(ctx context.Context, set string, m *migration, done int, sum string) error {
	_, err := s.Exec(ctx, `UPDATE warren_migrations SET checksum = ?, statements_done = ? WHERE step_set = ? AND version = ?`,
		sum, done, set, m.version)
	return err
}

func joined(statements []string) string {
	var out strings.Builder
	for _, s := range statements {
		out.WriteString(s + ";\n")
	}
	return out.String()
}
