package e2e

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gowarren/warren/store"
)

// books are the databases in the data folder of a shop, by their files' names.
type books struct {
	t   *testing.T
	dir string
}

// row is what a query found, each column as text.
type row []string

// rows asks a database, which is only read.
func (b books) rows(name string, columns int, query string, args ...any) (all []row) {
	b.t.Helper()
	ctx := b.t.Context()
	db, err := store.Open(ctx, "sqlite:"+filepath.Join(b.dir, name+".db"), store.Options{Name: name})
	if err != nil {
		b.t.Fatal(err)
	}
	defer db.Close()
	err = db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		all = nil
		found, err := tx.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		defer found.Close()
		for found.Next() {
			r, into := make(row, columns), make([]any, columns)
			for i := range r {
				into[i] = &r[i]
			}
			if err := found.Scan(into...); err != nil {
				return err
			}
			all = append(all, r)
		}
		return found.Err()
	}, store.ReadOnly)
	if err != nil {
		b.t.Fatalf("read %s: %v", name, err)
	}
	return all
}

// none wants a query to find nothing.
func (b books) none(name, what string, columns int, query string, args ...any) {
	b.t.Helper()
	if found := b.rows(name, columns, query, args...); len(found) > 0 {
		b.t.Errorf("%s: %d times %s; the first: %v", name, len(found), what, found[0])
	}
}

// has tells whether a database has the table.
func (b books) has(name, table string) bool {
	return len(b.rows(name, 1, `SELECT name FROM sqlite_master WHERE type = 'table' AND name = ?`, table)) > 0
}

// names are all databases.
func (b books) names() (all []string) {
	files, err := filepath.Glob(filepath.Join(b.dir, "*.db"))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, f := range files {
		all = append(all, strings.TrimSuffix(filepath.Base(f), ".db"))
	}
	return all
}

// of returns rows by their first column.
func of(all []row) map[string]row {
	out := map[string]row{}
	for _, r := range all {
		out[r[0]] = r
	}
	return out
}
