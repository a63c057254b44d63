package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// mysqlTwoPhase is XA. A transaction's name has two parts: ours, and which
// database it is of.
func mysqlTwoPhase(database string) *twoPhase {
	of := realm(database)
	return &twoPhase{
		quoted: func(name string) string {
			return " X'" + hex.EncodeToString([]byte(name)) + "',X'" + hex.EncodeToString([]byte(of)) + "'"
		},
		begin: func(name string, serializable bool) []string {
			start := []string{"XA START" + name}
			if serializable {
				return append([]string{"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"}, start...)
			}
			return start
		},
		prepare:          func(name string) []string { return []string{"XA END" + name, "XA PREPARE" + name} },
		rollback:         func(name string) []string { return []string{"XA END" + name, "XA ROLLBACK" + name} },
		commitPrepared:   func(name string) string { return "XA COMMIT" + name },
		rollbackPrepared: func(name string) string { return "XA ROLLBACK" + name },
		list:             func(ctx context.Context, db *DB) ([]PreparedTx, error) { return mysqlPreparedList(ctx, db, of) },
		able: func(ctx context.Context, db *DB) error {
			var version string
			if err := db.QueryRow(ctx, "SELECT VERSION()").Scan(&version); err != nil {
				return err
			}
			db.holds.Store(strings.Contains(version, "MariaDB"))
			return mysqlAble(version)
		},
		fault: mysqlPreparedFault,
		find: func(ctx context.Context, db *DB, name string) (string, preparedFault, error) {
			return db.findXA(ctx, name, of)
		},
	}
}

var mysqlVersion = regexp.MustCompile(`^(?:5\.5\.5-)?(\d+)\.(\d+)\.(\d+)`)

// mysqlAble refuses servers that lose prepared transactions: MariaDB before 10.5
// with the connection, MySQL before 8.0.30 in a crash at the wrong moment.
func mysqlAble(version string) error {
	server, least := "MySQL", [3]int{8, 0, 30}
	if strings.Contains(version, "MariaDB") {
		server, least = "MariaDB", [3]int{10, 5, 2}
	}
	parts := mysqlVersion.FindStringSubmatch(version)
	if parts == nil {
		return fmt.Errorf("%w: the server's version %q isn't understood", ErrCannotPrepare, version)
	}
	for i, want := range least {
		have, _ := strconv.Atoi(parts[i+1]) // digits
		if have > want {
			break
		}
		if have < want {
			return fmt.Errorf("%w: %s %s may lose them: use %d.%d.%d or later", ErrCannotPrepare, server, version, least[0], least[1], least[2])
		}
	}
	return nil
}

func mysqlPreparedList(ctx context.Context, db *DB, of string) ([]PreparedTx, error) {
	list, err := recoverXA(ctx, db, of)
	var out []PreparedTx
	for _, x := range list {
		out = append(out, PreparedTx{Name: x.name})
	}
	return out, err
}

// xa is a prepared transaction as the server lists it.
type xa struct {
	name   string
	format int64 // the connection that prepared it, on MariaDB
}

func recoverXA(ctx context.Context, db *DB, of string) (out []xa, err error) {
	rows, err := db.write.QueryContext(unprepared(ctx), "XA RECOVER")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var format int64
		var first, second int
		var data []byte
		if err := rows.Scan(&format, &first, &second, &data); err != nil {
			return nil, err
		}
		if first+second == len(data) && string(data[first:]) == of {
			out = append(out, xa{name: string(data[:first]), format: format})
		}
	}
	return out, rows.Err()
}

func mysqlPreparedFault(err error) preparedFault {
	coded, ok := errors.AsType[*mysql.MySQLError](err)
	if !ok {
		return preparedOther
	}
	switch coded.Number {
	case 1397, 1402: // unknown name; rolled back by the server
		return preparedMissing
	case 1440:
		return preparedTaken
	}
	return preparedOther
}
