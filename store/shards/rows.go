package shards

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gowarren/warren/store"
)

// kind is what a column holds, whichever database it is in.
type kind string

const (
	kindInt   kind = "integer"
	kindFloat kind = "float"
	kindBool  kind = "boolean"
	kindText  kind = "text"
	kindBytes kind = "bytes"
)

// layout is how the rows of a table are read and written.
type layout struct {
	Table
	columns []string
	kinds   []kind
	key     []int // the places of the key's columns
}

// row has the values of the columns: int64, float64, bool, string, []byte or nil.
type row []any

// layoutOf finds the columns of a table that two databases have alike.
func layoutOf(ctx context.Context, t Table, from, to *store.DB) (layout, error) {
	l := layout{Table: t}
	names, kinds, err := columnsOf(ctx, from, t.Name)
	if err != nil {
		return l, err
	}
	_, other, err := columnsOf(ctx, to, t.Name)
	if err != nil {
		return l, err
	}
	if len(names) != len(other) || len(names) == 0 {
		return l, fmt.Errorf("table %s has %d columns here and %d there", t.Name, len(names), len(other))
	}
	for _, name := range names {
		k := kinds[name]
		switch o := other[name]; {
		case o == k:
		case o == kindBool && k == kindInt, o == kindInt && k == kindBool:
			k = kindBool // MySQL has no other
		default:
			return l, fmt.Errorf("column %s.%s is %s here and %q there", t.Name, name, k, o)
		}
		l.columns, l.kinds = append(l.columns, name), append(l.kinds, k)
	}
	if !slices.Contains(l.columns, t.Shard) {
		return l, fmt.Errorf("table %s has no column %s", t.Name, t.Shard)
	}
	l.key, err = l.keyColumns()
	return l, err
}

// keyColumns finds the columns of the key.
func (l layout) keyColumns() (out []int, err error) {
	for _, name := range l.Key {
		at := slices.Index(l.columns, name)
		if at < 0 {
			return nil, fmt.Errorf("table %s has no column %s", l.Name, name)
		}
		if k := l.kinds[at]; k != kindInt && k != kindText {
			return nil, fmt.Errorf("column %s.%s is %s: a key is a BIGINT or a VARCHAR", l.Name, name, k)
		}
		out = append(out, at)
	}
	return out, nil
}

func columnsOf(ctx context.Context, db *store.DB, table string) ([]string, map[string]kind, error) {
	query := `SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = ? ORDER BY ordinal_position`
	switch db.Dialect() {
	case store.SQLite:
		query = `SELECT name, type FROM pragma_table_info(?) ORDER BY cid`
	case store.MySQL:
		query = `SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ? ORDER BY ordinal_position`
	}
	rows, err := db.Query(ctx, query, table)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = rows.Close() }()
	var names []string
	kinds := map[string]kind{}
	for rows.Next() {
		var name, declared string
		if err := rows.Scan(&name, &declared); err != nil {
			return nil, nil, err
		}
		k, err := kindOf(declared)
		if err != nil {
			return nil, nil, fmt.Errorf("column %s.%s: %w", table, name, err)
		}
		names = append(names, name)
		kinds[name] = k
	}
	return names, kinds, rows.Err()
}

func kindOf(declared string) (kind, error) {
	d := strings.ToUpper(declared)
	for _, known := range []struct {
		in string
		is kind
	}{{"BOOL", kindBool}, {"INT", kindInt}, {"DOUBLE", kindFloat}, {"REAL", kindFloat}, {"FLOAT", kindFloat},
		{"CHAR", kindText}, {"TEXT", kindText}, {"BLOB", kindBytes}, {"BYTEA", kindBytes}, {"BINARY", kindBytes}} {
		if strings.Contains(d, known.in) {
			return known.is, nil
		}
	}
	return "", fmt.Errorf("type %s can't be moved: it is none of the portable ones", declared)
}

// scan reads one row.
func (l layout) scan(rows *store.Rows) (row, error) {
	dest := make([]any, len(l.columns))
	for i, k := range l.kinds {
		switch k {
		case kindInt:
			dest[i] = new(sql.Null[int64])
		case kindFloat:
			dest[i] = new(sql.Null[float64])
		case kindBool:
			dest[i] = new(sql.Null[bool])
		case kindText:
			dest[i] = new(sql.Null[string])
		case kindBytes:
			dest[i] = new(sql.Null[[]byte])
		}
	}
	if err := rows.Scan(dest...); err != nil {
		return nil, err
	}
	out := make(row, len(dest))
	for i, d := range dest {
		out[i] = value(d)
	}
	return out, nil
}

func value(scanned any) any {
	switch v := scanned.(type) {
	case *sql.Null[int64]:
		if v.Valid {
			return v.V
		}
	case *sql.Null[float64]:
		if v.Valid {
			return v.V
		}
	case *sql.Null[bool]:
		if v.Valid {
			return v.V
		}
	case *sql.Null[string]:
		if v.Valid {
			return v.V
		}
	case *sql.Null[[]byte]:
		if v.Valid {
			return v.V
		}
	}
	return nil
}

// keyOf returns the row's key.
func (l layout) keyOf(r row) []any {
	out := make([]any, len(l.key))
	for i, at := range l.key {
		out[i] = r[at]
	}
	return out
}

// checksum is of all that is in the row, the same in every database.
func (r row) checksum() [sha256.Size]byte {
	var b []byte
	for _, v := range r {
		switch v := v.(type) {
		case nil:
			b = append(b, 0)
		case int64:
			b = binary.BigEndian.AppendUint64(append(b, 1), uint64(v))
		case float64:
			b = binary.BigEndian.AppendUint64(append(b, 2), math.Float64bits(v))
		case bool:
			b = append(b, 3, 0)
			if v {
				b[len(b)-1] = 1
			}
		case string:
			b = append(binary.AppendUvarint(append(b, 4), uint64(len(v))), v...)
		case []byte:
			b = append(binary.AppendUvarint(append(b, 5), uint64(len(v))), v...)
		}
	}
	return sha256.Sum256(b)
}

// keyText is how keys are written down: as a list in JSON, as the triggers do.
func keyText(key []any) (string, error) {
	text, err := json.Marshal(key)
	return string(text), err
}

// parseKey reads a key, whichever database wrote it.
func (l layout) parseKey(text string) ([]any, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return nil, fmt.Errorf("key %s of table %s: %w", text, l.Name, err)
	}
	if len(raw) != len(l.key) {
		return nil, fmt.Errorf("key %s of table %s has %d parts instead of %d", text, l.Name, len(raw), len(l.key))
	}
	out := make([]any, len(raw))
	for i, at := range l.key {
		var err error
		if l.kinds[at] == kindInt {
			var n int64
			err = json.Unmarshal(raw[i], &n)
			out[i] = n
		} else {
			var s string
			err = json.Unmarshal(raw[i], &s)
			out[i] = s
		}
		if err != nil {
			return nil, fmt.Errorf("key %s of table %s: %w", text, l.Name, err)
		}
	}
	return out, nil
}
