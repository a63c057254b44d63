package store

import "context"

// Collect reads all rows of a query. What read returns is one of them: it is
// handed what copies the columns of its row, as [Rows.Scan] does, so that it
// reads the only row of a [Querier.QueryRow], too.
func Collect[T any](ctx context.Context, q Querier, read func(scan func(dest ...any) error) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		one, err := read(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, rows.Err()
}
