package storetest

import (
	"context"
	"errors"
	"strings"
	"testing/fstest"

	"github.com/gowarren/warren/store"
)

const (
	first  = `CREATE TABLE things (id BIGINT PRIMARY KEY, name VARCHAR(50));`
	second = `ALTER TABLE things ADD COLUMN price BIGINT NOT NULL DEFAULT 0; INSERT INTO things (id, price) VALUES (1, 5);`
)

var migrations = map[string]func(*bench){
	"OnceAndInOrder": func(b *bench) {
		b.schema(first)
		b.schema(first, second)
		b.schema(first, second) // would add the column and the row again
		if got := b.column(`SELECT price FROM things`); got != "5" {
			b.Errorf("got %q", got)
		}
	},
	"SetsAreApart": func(b *bench) {
		b.schema(first)
		own := steps(`CREATE TABLE owned (id BIGINT)`)
		b.must(b.db.MigrateSet(b.ctx, "owner", own))
		b.must(b.db.MigrateSet(b.ctx, "owner", own))
		b.schema(first, second)
		b.exec(b.db, `INSERT INTO owned (id) VALUES (1)`)
		if got := b.column(`SELECT step_set FROM warren_migrations ORDER BY step_set`); got != "owner service service" {
			b.Errorf("got steps of %q", got)
		}
	},
	"EightAtOnce": func(b *bench) {
		dbs := make([]*store.DB, 8)
		for i := range dbs {
			dbs[i] = b.open(store.Options{})
		}
		for _, err := range together(len(dbs), func(i int) error { return dbs[i].Migrate(b.ctx, manySteps()) }) {
			b.must(err)
		}
		b.ranOnce()
	},
	"SeveralProcesses": func(b *bench) {
		b.processes(4, "migrate")
		b.ranOnce()
	},
	"EditedStepIsRefused": func(b *bench) {
		b.schema(first)
		b.refused(steps(strings.Replace(first, "50", "60", 1)), "0001_step was edited")
		b.schema(strings.ReplaceAll(first, "\n", "\r\n"))
	},
	"UnknownStepIsRefused": func(b *bench) {
		b.schema(first, second)
		gap := steps(first, second, `SELECT 1`)
		delete(gap, "migrations/0002_step.sql")
		b.refused(gap, "which this program doesn't know")
	},
	"LateStepIsRefused": func(b *bench) {
		late := steps(first, "", second)
		delete(late, "migrations/0002_step.sql")
		b.must(b.db.Migrate(b.ctx, late))
		b.refused(steps(first, `SELECT 1`, second), "comes before steps that the database already has")
	},
	"OlderProgramGoesOn": func(b *bench) {
		b.schema(first, second)
		b.schema(first)
		b.exec(b.db, `INSERT INTO things (id, name) VALUES (2, 'old')`)
	},
	"BadNames": func(b *bench) {
		for name, want := range map[string]string{
			"migrations/first.sql":             "not named like",
			"migrations/0001_First.sql":        "not named like",
			"migrations/0001_first.oracle.sql": "not named like",
			"readme.md":                        "no file such as",
		} {
			b.refused(fstest.MapFS{name: &fstest.MapFile{Data: []byte("SELECT 1")}}, want)
		}
		two := steps(first)
		two["migrations/0001_other.sql"] = two["migrations/0001_step.sql"]
		b.refused(two, "have the same number")
	},
	"StatementsOutliveChangesOfTheSchema": func(b *bench) {
		b.schema(first)
		other := b.open(store.Options{Name: "other", MaxOpen: 1})
		columns := func(q store.Querier) int {
			rows, err := q.Query(b.ctx, `SELECT * FROM things WHERE id = ?`, 1)
			b.must(err)
			defer rows.Close()
			names, err := rows.Columns()
			b.must(err)
			for rows.Next() {
				into := make([]any, len(names))
				for i := range into {
					into[i] = new(any)
				}
				b.must(rows.Scan(into...))
			}
			b.must(rows.Err())
			return len(names)
		}
		for range 2 {
			if n := columns(other); n != 2 {
				b.Errorf("%d columns; want 2", n)
			}
		}
		b.schema(first, second)
		b.must(other.InTx(b.ctx, func(_ context.Context, tx *store.Tx) error {
			return tx.QueryRow(b.ctx, `SELECT id FROM things WHERE id = ?`, 1).Scan(new(int))
		}))
		for range 2 {
			if n := columns(other); n != 3 {
				b.Errorf("%d columns after the change; want 3", n)
			}
		}
	},
	"DialectsOwnFile": func(b *bench) {
		own := fstest.MapFS{
			"0001_a.sql": &fstest.MapFile{Data: []byte(`CREATE TABLE common (id BIGINT)`)},
			"0002_b.sql": &fstest.MapFile{Data: []byte(`this is refused by all`)},
		}
		for _, d := range []store.Dialect{store.SQLite, store.PostgreSQL, store.MySQL} {
			own["0002_b."+string(d)+".sql"] = &fstest.MapFile{Data: []byte(`CREATE TABLE only_` + string(d) + ` (id BIGINT)`)}
		}
		own["0003_c.sqlite.sql"] = &fstest.MapFile{Data: []byte(
			`CREATE TRIGGER t AFTER INSERT ON common BEGIN INSERT INTO only_sqlite (id) VALUES (new.id); INSERT INTO only_sqlite (id) VALUES (2); END;`)}
		b.must(b.db.Migrate(b.ctx, own))
		b.exec(b.db, `INSERT INTO common (id) VALUES (1)`)
		if got, want := b.column(`SELECT COUNT(*) FROM only_`+string(b.db.Dialect())), map[bool]string{true: "2", false: "0"}[b.sqlite()]; got != want {
			b.Errorf("got %s rows; want %s", got, want)
		}
	},
	"BadStep": func(b *bench) {
		bad := second + ` INSERT INTO things (id, nothing) VALUES (2, 2); INSERT INTO things (id) VALUES (3);`
		b.refused(steps(first, bad), "0002_step")
		mended := strings.Replace(bad, "nothing", "price", 1)
		if b.db.Dialect() != store.MySQL {
			if _, err := b.db.Exec(b.ctx, `INSERT INTO things (id, price) VALUES (7, 7)`); err == nil {
				b.Error("half of a step was applied")
			}
			b.schema(first, mended)
		} else {
			b.refused(steps(first, bad), "statement 3 of 4")
			b.refused(steps(first, strings.Replace(mended, "5", "6", 1)), "stopped after statement 2")
			b.schema(first, mended) // the first two are not run again
		}
		if got := b.column(`SELECT id FROM things ORDER BY id`); got != "1 2 3" {
			b.Errorf("got %q; want 1 2 3", got)
		}
	},
}

// manySteps are steps that can't be applied twice, and count themselves.
func manySteps() fstest.MapFS {
	return steps(
		`CREATE TABLE counts (n BIGINT NOT NULL); INSERT INTO counts (n) VALUES (0);`,
		`UPDATE counts SET n = n + 1; CREATE TABLE one (id BIGINT);`,
		`UPDATE counts SET n = n + 1; CREATE TABLE two (id BIGINT);`,
		`UPDATE counts SET n = n + 1; DROP TABLE one;`,
	)
}

func (b *bench) ranOnce() {
	b.Helper()
	if got := b.column(`SELECT n FROM counts`); got != "3" {
		b.Errorf("the steps ran %q times; want 3", got)
	}
}

func (b *bench) refused(fsys fstest.MapFS, want string) {
	b.Helper()
	err := b.db.Migrate(b.ctx, fsys)
	if !errors.Is(err, store.ErrMigration) || !strings.Contains(err.Error(), want) {
		b.Errorf("got %v; want ErrMigration with %q", err, want)
	}
}
