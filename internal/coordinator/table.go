package coordinator

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gowarren/warren/store"
)

// chunks are how many rows one statement writes: few sizes, so that the texts,
// and what databases keep of them, are few too.
var chunks = [...]int{32, 8, 4, 2, 1}

// table writes many rows of one table at once. A row whose key is there already
// gets the new values of the columns that change.
type table[R any] struct {
	name                       string
	keys, fixed, changing, all []column[R]
	texts                      map[int]string
}

func newTable[R any](name string, keys, fixed, changing []column[R]) *table[R] {
	t := &table[R]{name: name, keys: keys, fixed: fixed, changing: changing, all: slices.Concat(keys, fixed, changing), texts: map[int]string{}}
	marks := "(?" + strings.Repeat(", ?", len(t.all)-1) + ")"
	for _, n := range chunks {
		t.texts[n] = fmt.Sprintf("INSERT INTO %s (%s) VALUES %s ON CONFLICT (%s) DO UPDATE SET %s",
			name, list(names(t.all)), marks+strings.Repeat(", "+marks, n-1), list(names(keys)), t.sets())
	}
	return t
}

// sets are the assignments for a row that is there.
func (t *table[R]) sets() string {
	changing := t.changing
	if len(changing) == 0 {
		changing = t.keys[:1] // nothing; DO NOTHING is not for many rows everywhere
	}
	sets := names(changing)
	for i, name := range sets {
		sets[i] = name + " = excluded." + name
	}
	return list(sets)
}

// put writes the rows, of which no two have one key.
func (t *table[R]) put(ctx context.Context, tx *store.Tx, rows []*R) error {
	for _, n := range chunks {
		for len(rows) >= n {
			args := make([]any, 0, n*len(t.all))
			for _, r := range rows[:n] {
				for _, c := range t.all {
					args = append(args, c.value(r))
				}
			}
			if _, err := tx.Exec(ctx, t.texts[n], args...); err != nil {
				return err
			}
			rows = rows[n:]
		}
	}
	return nil
}

func list(names []string) string { return strings.Join(names, ", ") }

// in calls f with lists of at most 32 keys and the text "(?, ?, …)" for them,
// padded with the last one: few texts again.
func in(keys []string, f func(list string, args []any) error) error {
	for len(keys) > 0 {
		n := min(len(keys), chunks[0])
		size := 1
		for size < n {
			size *= 2
		}
		args := make([]any, size)
		for i := range args {
			args[i] = keys[min(i, n-1)]
		}
		if err := f("(?"+strings.Repeat(", ?", size-1)+")", args); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}
