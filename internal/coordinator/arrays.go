package coordinator

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gowarren/warren/store"
)

// PostgreSQL takes arrays. There all that a batch changes is one statement of one
// text, and the commit with it: the database is asked once and answers once, and
// does not plan anew because a batch is of another size. It does some times as the
// table grows: what is right for an empty one, to read all of it, would otherwise
// stay until statistics are taken, and cost more with each transaction.

// everything writes what creates, rows, branches and attempts say, of transactions
// that have the epoch, and returns which those are.
var everything = func() string {
	branches := slices.Concat(branchTable.keys, branchTable.fixed, branchTable.changing)
	attempts := slices.Concat(attemptTable.keys, attemptTable.fixed)
	all := slices.Concat(createTable.keys, createTable.fixed)
	rows := slices.Concat([]string{"gid", "epoch"}, transactionTable.changing)
	sets := make([]string, len(transactionTable.changing))
	for i, c := range transactionTable.changing {
		sets[i] = c + " = u." + c
	}
	return `WITH created AS (
		INSERT INTO warren_txn (` + list(all) + `) SELECT ` + list(all) + ` FROM ` + unnest(all) + ` ON CONFLICT (gid) DO NOTHING RETURNING gid
	), changed AS (
		UPDATE warren_txn t SET ` + list(sets) + ` FROM ` + unnest(rows) + ` WHERE t.gid = u.gid AND t.epoch = u.epoch RETURNING t.gid
	), kept AS (
		SELECT t.gid FROM warren_txn t JOIN ` + unnest([]string{"gid", "epoch"}) + ` ON t.gid = u.gid AND t.epoch = u.epoch FOR NO KEY UPDATE OF t
	), ours AS (
		SELECT gid FROM created UNION ALL SELECT gid FROM changed UNION ALL SELECT gid FROM kept
	), branches AS (
		INSERT INTO warren_txn_branch (` + list(branches) + `) SELECT ` + list(branches) + ` FROM ` + unnest(branches) + ` WHERE ` + isOurs + `
		ON CONFLICT (gid, name) DO UPDATE SET ` + list(branchTable.sets()) + `
	), attempts AS (
		INSERT INTO warren_txn_attempt (` + list(attempts) + `) SELECT ` + list(attempts) + ` FROM ` + unnest(attempts) + ` WHERE ` + isOurs + `
		ON CONFLICT (gid, epoch, seq) DO NOTHING
	) SELECT gid FROM ours`
}()

// isOurs makes one table of hashes of those that are ours, however few are expected.
const isOurs = "(u.gid IN (SELECT gid FROM ours)) IS TRUE"

// plans sees to it that the statement is planned anew as the table grows.
type plans struct {
	created, generation int
	text                string
}

// statement is another text, and so another plan, each time that sixteen times as
// many transactions were created.
func (p *plans) statement(creates int) string {
	for p.created += creates; p.created > 1000<<(4*p.generation); p.text = "" {
		p.generation++
	}
	if p.text == "" {
		p.text = fmt.Sprintf("%s -- %d", everything, p.generation)
	}
	return p.text
}

func list(columns []string) string { return strings.Join(columns, ", ") }

// unnest makes rows, called u, of arrays, one for each column, that of the first
// column last. Only that one is unnested, and the others are read by the number of
// the row: to unnest them all costs several times as much as to write the rows. The
// condition always holds. The planner takes it to leave next to nothing, so that each
// transaction is looked up by its key, and not all of them are read.
func unnest(columns []string) string {
	read := make([]string, len(columns))
	read[0] = "key AS " + columns[0]
	for i, c := range columns[1:] {
		read[i+1] = "(?::" + arrayOf(c) + ")[n] AS " + c
	}
	return "(SELECT " + list(read) + " FROM unnest(?::" + arrayOf(columns[0]) + ") WITH ORDINALITY AS keys (key, n) WHERE n BETWEEN 1 AND 2147483647) AS u"
}

// arrayOf is the type of an array of a column's values.
func arrayOf(column string) string {
	switch column {
	case "gid", "name", "token", "digest", "trace", "owner", "reason", "reason_branch", "park_reason", "park_branch", "error", "branch", "node":
		return "text[]"
	case "definition", "reason_status", "response":
		return "bytea[]"
	}
	return "bigint[]"
}

// arrays turns rows into one array for each column, in the order of unnest.
func arrays(columns int, rows [][]any, like []any) []any {
	out := make([]any, columns)
	for c := range out {
		at := (c + columns - 1) % columns
		switch like[c].(type) {
		case string:
			out[at] = column[string](rows, c)
		case []byte:
			out[at] = column[[]byte](rows, c)
		default:
			out[at] = numbers(rows, c)
		}
	}
	return out
}

func column[T any](rows [][]any, c int) []T {
	values := make([]T, len(rows))
	for i, row := range rows {
		values[i], _ = row[c].(T)
	}
	return values
}

func numbers(rows [][]any, c int) []int64 {
	values := make([]int64, len(rows))
	for i, row := range rows {
		switch n := row[c].(type) {
		case int64:
			values[i] = n
		case int:
			values[i] = int64(n)
		}
	}
	return values
}

// plain reports whether a batch does nothing but write rows, each transaction once:
// the locks of the others are a conversation.
func plain(batch []*write) bool {
	seen := make(map[string]bool, len(batch))
	for _, item := range batch {
		if item.claim != nil || item.unlock || len(item.actions) > 0 || seen[item.gid] {
			return false
		}
		seen[item.gid] = true
	}
	return true
}

// shapes are rows of no transaction, for what type each column has.
var shapes = struct{ row, branch, attempt []any }{(&row{}).values(true), (&branchRow{}).values(), (&attemptRow{}).values()}

// commitPlain writes a plain batch to PostgreSQL.
func (e *Engine) commitPlain(ctx context.Context, batch []*write) error {
	var creates, rows, kept, branches, attempts [][]any
	for _, item := range batch {
		item.verdict = verdict{}
		switch {
		case item.create:
			creates = append(creates, item.row.values(true))
		case item.row != nil:
			v := item.row.values(false)
			rows = append(rows, append([]any{item.gid, item.epoch}, v[len(v)-len(transactionTable.changing):]...))
		default:
			kept = append(kept, []any{item.gid, item.epoch})
		}
		for i := range item.branches {
			branches = append(branches, item.branches[i].values())
		}
		for i := range item.attempts {
			attempts = append(attempts, item.attempts[i].values())
		}
	}
	key := []any{"", int64(0)}
	changing := shapes.row[len(shapes.row)-len(transactionTable.changing):]
	args := slices.Concat(
		arrays(len(shapes.row), creates, shapes.row), arrays(len(key)+len(changing), rows, slices.Concat(key, changing)),
		arrays(len(key), kept, key), arrays(len(shapes.branch), branches, shapes.branch), arrays(len(shapes.attempt), attempts, shapes.attempt))
	ours, err := readGids(ctx, e.db, e.plans.statement(len(creates)), args...)
	if err != nil {
		return err
	}
	return e.judgePlain(ctx, batch, ours)
}

// judgePlain tells those whose transaction was not theirs, or was there already.
func (e *Engine) judgePlain(ctx context.Context, batch []*write, ours []string) error {
	mine := make(map[string]bool, len(ours))
	for _, gid := range ours {
		mine[gid] = true
	}
	var late []*write
	for _, item := range batch {
		switch {
		case mine[item.gid]:
		case item.create:
			late = append(late, item)
		default:
			item.verdict.err = errFenced
		}
	}
	if len(late) == 0 {
		return nil
	}
	return e.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error { return judge(ctx, tx, late) })
}
