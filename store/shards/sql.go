package shards

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gowarren/warren/store"
)

// sizes of lists in statements are few, so that these stay prepared.
var listSizes = []int{1, 10, 100}

const maxList = 100

func quoted(names []string) string {
	var out []string
	for _, n := range names {
		out = append(out, `"`+n+`"`)
	}
	return strings.Join(out, ", ")
}

// querier is a database or a transaction, which say what they speak.
type querier interface {
	store.Querier
	Dialect() store.Dialect
}

// after returns the next rows of a shard that come after the key, in the order of
// keys of that database.
func (l layout) after(ctx context.Context, q store.Querier, shard int, key []any) ([]row, error) {
	where, args := fmt.Sprintf(`"%s" = ?`, l.Shard), []any{shard}
	if key != nil {
		// (a > ?) OR (a = ? AND b > ?): every database finds its index for that.
		var ways []string
		for i := range l.Key {
			var parts []string
			for j := range i {
				parts = append(parts, fmt.Sprintf(`"%s" = ?`, l.Key[j]))
				args = append(args, key[j])
			}
			parts = append(parts, fmt.Sprintf(`"%s" > ?`, l.Key[i]))
			args = append(args, key[i])
			ways = append(ways, strings.Join(parts, " AND "))
		}
		where += " AND ((" + strings.Join(ways, ") OR (") + "))"
	}
	return l.query(ctx, q, fmt.Sprintf(`WHERE %s ORDER BY %s LIMIT %d`, where, quoted(l.Key), chunkSize), args)
}

// withKeys returns the rows of a shard that have the keys. The plus keeps databases
// from going through all rows of the shard: the keys have an index.
func (l layout) withKeys(ctx context.Context, q querier, shard int, keys [][]any) ([]row, error) {
	d := q.Dialect()
	var out []row
	for part := range slices.Chunk(keys, maxList) {
		condition, args := l.keyed(d, part)
		rows, err := l.query(ctx, q, fmt.Sprintf(`WHERE +"%s" = ? AND %s`, l.Shard, condition), append([]any{shard}, args...))
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	return out, nil
}

// keyed is true for the keys. Each database has another way to look for keys of
// several columns by their index.
func (l layout) keyed(d store.Dialect, keys [][]any) (condition string, args []any) {
	size := maxList
	for _, n := range listSizes {
		if len(keys) <= n {
			size = n
			break
		}
	}
	for i := range size { // padded by the last, so that statements have few lengths
		args = append(args, keys[min(i, len(keys)-1)]...)
	}
	marks := make([]string, len(l.key))
	for i, at := range l.key {
		marks[i] = "?"
		if d == store.PostgreSQL && len(l.key) > 1 {
			marks[i] = "CAST(? AS VARCHAR)"
			if l.kinds[at] == kindInt {
				marks[i] = "CAST(? AS BIGINT)"
			}
		}
	}
	one := strings.Join(marks, ", ")
	if len(l.key) > 1 {
		one = "(" + one + ")"
	}
	list := strings.TrimSuffix(strings.Repeat(one+", ", size), ", ")
	if len(l.key) > 1 && d != store.MySQL {
		list = "VALUES " + list
	}
	return fmt.Sprintf("(%s) IN (%s)", quoted(l.Key), list), args
}

func (l layout) query(ctx context.Context, q store.Querier, rest string, args []any) ([]row, error) {
	rows, err := q.Query(ctx, fmt.Sprintf(`SELECT %s FROM "%s" %s`, quoted(l.columns), l.Name, rest), args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []row
	for rows.Next() {
		r, err := l.scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// insert adds rows that aren't there.
func (l layout) insert(ctx context.Context, tx *store.Tx, rows []row) error {
	return l.write(ctx, tx, rows, "")
}

// upsert makes rows what they should be.
func (l layout) upsert(ctx context.Context, tx *store.Tx, rows []row) error {
	var set []string
	for i, c := range l.columns {
		if !slices.Contains(l.key, i) {
			set = append(set, fmt.Sprintf(`"%s" = excluded."%s"`, c, c))
		}
	}
	do := "DO NOTHING"
	if len(set) > 0 {
		do = "DO UPDATE SET " + strings.Join(set, ", ")
	}
	return l.write(ctx, tx, rows, fmt.Sprintf(" ON CONFLICT (%s) %s", quoted(l.Key), do))
}

// write sends many rows in few statements, of few lengths.
func (l layout) write(ctx context.Context, tx *store.Tx, rows []row, conflict string) error {
	one := "(" + strings.TrimSuffix(strings.Repeat("?, ", len(l.columns)), ", ") + ")"
	// PostgreSQL takes 65,535 arguments, SQLite half of that.
	most := max(1, 30000/len(l.columns))
	for len(rows) > 0 {
		size := 1
		for _, n := range listSizes {
			if n <= len(rows) && n <= most {
				size = n
			}
		}
		var args []any
		for _, r := range rows[:size] {
			args = append(args, r...)
		}
		rows = rows[size:]
		values := strings.TrimSuffix(strings.Repeat(one+", ", size), ", ")
		_, err := tx.Exec(ctx, fmt.Sprintf(`INSERT INTO "%s" (%s) VALUES %s%s`, l.Name, quoted(l.columns), values, conflict), args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// remove deletes the rows of a shard that have the keys.
func (l layout) remove(ctx context.Context, tx *store.Tx, shard int, keys [][]any) error {
	for part := range slices.Chunk(keys, maxList) {
		condition, args := l.keyed(tx.Dialect(), part)
		_, err := tx.Exec(ctx, fmt.Sprintf(`DELETE FROM "%s" WHERE +"%s" = ? AND %s`, l.Name, l.Shard, condition), append([]any{shard}, args...)...)
		if err != nil {
			return err
		}
	}
	return nil
}

func (l layout) count(ctx context.Context, q store.Querier, shard int) (n int, err error) {
	err = q.QueryRow(ctx, fmt.Sprintf(`SELECT COUNT(*) FROM "%s" WHERE "%s" = ?`, l.Name, l.Shard), shard).Scan(&n)
	return n, err
}
