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

// after returns the rows of a shard that come after the key, in the order of keys of
// that database.
func (l layout) after(ctx context.Context, q store.Querier, shard int, key []any, limit int) ([]row, error) {
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
	return l.query(ctx, q, fmt.Sprintf(`WHERE %s ORDER BY %s LIMIT %d`, where, quoted(l.Key), limit), args)
}

// withKeys returns the rows of a shard that have the keys.
func (l layout) withKeys(ctx context.Context, q store.Querier, shard int, keys [][]any) ([]row, error) {
	var out []row
	for part := range slices.Chunk(keys, maxList) {
		condition, args := l.keyed(part)
		rows, err := l.query(ctx, q, fmt.Sprintf(`WHERE "%s" = ? AND (%s)`, l.Shard, condition), append([]any{shard}, args...))
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	return out, nil
}

// keyed is true for the keys.
func (l layout) keyed(keys [][]any) (condition string, args []any) {
	size := maxList
	for _, n := range listSizes {
		if len(keys) <= n {
			size = n
			break
		}
	}
	var one []string
	for _, k := range l.Key {
		one = append(one, fmt.Sprintf(`"%s" = ?`, k))
	}
	var ways []string
	for i := range size {
		ways = append(ways, "("+strings.Join(one, " AND ")+")")
		args = append(args, keys[min(i, len(keys)-1)]...)
	}
	return strings.Join(ways, " OR "), args
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
	one := "(" + strings.TrimSuffix(strings.Repeat("?, ", len(l.columns)), ", ") + ")"
	// PostgreSQL takes 65,535 arguments, SQLite half of that.
	most := max(1, min(maxList, 30000/len(l.columns)))
	for part := range slices.Chunk(rows, most) {
		var args []any
		for _, r := range part {
			args = append(args, r...)
		}
		values := strings.TrimSuffix(strings.Repeat(one+", ", len(part)), ", ")
		_, err := tx.Exec(ctx, fmt.Sprintf(`INSERT INTO "%s" (%s) VALUES %s`, l.Name, quoted(l.columns), values), args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// upsert makes rows what they should be, one by one.
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
	query := fmt.Sprintf(`INSERT INTO "%s" (%s) VALUES (%s) ON CONFLICT (%s) %s`, l.Name, quoted(l.columns),
		strings.TrimSuffix(strings.Repeat("?, ", len(l.columns)), ", "), quoted(l.Key), do)
	for _, r := range rows {
		if _, err := tx.Exec(ctx, query, r...); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes the rows of a shard that have the keys.
func (l layout) remove(ctx context.Context, tx *store.Tx, shard int, keys [][]any) error {
	for part := range slices.Chunk(keys, maxList) {
		condition, args := l.keyed(part)
		_, err := tx.Exec(ctx, fmt.Sprintf(`DELETE FROM "%s" WHERE "%s" = ? AND (%s)`, l.Name, l.Shard, condition), append([]any{shard}, args...)...)
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
