package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// postgresTwoPhase is PREPARE TRANSACTION. Names are the server's, so the
// database stands in them.
func postgresTwoPhase(database string) *twoPhase {
	suffix := "@" + realm(database)
	sequence := func(verb string) func(string) []string {
		return func(name string) []string { return []string{verb + name} }
	}
	return &twoPhase{
		quoted: func(name string) string { return " '" + name + suffix + "'" },
		begin: func(_ string, serializable bool) []string {
			if serializable {
				return []string{"BEGIN ISOLATION LEVEL SERIALIZABLE"}
			}
			return []string{"BEGIN"}
		},
		prepare:          sequence("PREPARE TRANSACTION"),
		rollback:         func(string) []string { return []string{"ROLLBACK"} },
		commitPrepared:   func(name string) string { return "COMMIT PREPARED" + name },
		rollbackPrepared: func(name string) string { return "ROLLBACK PREPARED" + name },
		list: func(ctx context.Context, db *DB) ([]PreparedTx, error) {
			return postgresPreparedList(ctx, db, suffix)
		},
		able: func(ctx context.Context, db *DB) error {
			var most int
			err := db.QueryRow(ctx, "SELECT CAST(current_setting('max_prepared_transactions') AS BIGINT)").Scan(&most)
			if err != nil {
				return err
			}
			return postgresAble(most)
		},
		fault: postgresPreparedFault,
	}
}

func postgresAble(most int) error {
	if most > 0 {
		return nil
	}
	return fmt.Errorf("%w: PostgreSQL's max_prepared_transactions is 0: set it to at least max_connections and restart the server", ErrCannotPrepare)
}

func postgresPreparedList(ctx context.Context, db *DB, suffix string) ([]PreparedTx, error) {
	rows, err := db.Query(ctx, "SELECT gid, prepared FROM pg_prepared_xacts WHERE database = current_database() ORDER BY prepared, gid")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []PreparedTx
	for rows.Next() {
		var name string
		var at time.Time
		if err := rows.Scan(&name, &at); err != nil {
			return nil, err
		}
		if own, ours := strings.CutSuffix(name, suffix); ours {
			out = append(out, PreparedTx{Name: own, At: at})
		}
	}
	return out, rows.Err()
}

func postgresPreparedFault(err error) preparedFault {
	coded, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return preparedOther
	}
	switch {
	case coded.Code == "42704":
		return preparedMissing
	case coded.Code == "42710":
		return preparedTaken
	case coded.Code == "55000" && strings.Contains(coded.Routine, "LockGXact"):
		return preparedBusy
	case coded.Code == "55000" && strings.Contains(coded.Hint, "max_prepared_transactions"):
		return preparedOff
	}
	return preparedOther
}
