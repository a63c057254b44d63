package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/gowarren/warren/store"
)

const shopSchema = `
CREATE TABLE categories (id BIGINT PRIMARY KEY, name VARCHAR(100) NOT NULL UNIQUE);
CREATE TABLE products (
	sku VARCHAR(40) NOT NULL,
	category BIGINT NOT NULL,
	name VARCHAR(200) NOT NULL,
	price BIGINT NOT NULL,
	"order" BIGINT NOT NULL DEFAULT 0,
	active BOOLEAN NOT NULL DEFAULT TRUE,
	PRIMARY KEY (sku),
	FOREIGN KEY (category) REFERENCES categories (id)
);
CREATE INDEX products_by_category ON products (category, sku);
INSERT INTO categories (id, name) VALUES (1, 'mugs; and cups'), (2, 'It''s -- tea');
INSERT INTO products (sku, category, name, price) VALUES
	('a1', 1, 'White Mug', 250), ('a2', 1, 'red mug', 300), ('B1', 2, 'Green Tea 100%', 995), ('b2', 2, 'Zoe', 0);
`

// portable are the statements that mean the same everywhere; docs/store.md lists
// what else does not.
var portable = map[string]func(*bench){
	"Select": func(b *bench) {
		b.schema(shopSchema)
		for query, want := range map[string]string{
			`SELECT sku FROM products ORDER BY sku`:                                                                                                        "B1 a1 a2 b2",
			`SELECT sku FROM products WHERE sku > ? ORDER BY sku LIMIT 2`:                                                                                  "a2 b2",
			`SELECT sku FROM products ORDER BY price DESC, sku LIMIT 2 OFFSET 1`:                                                                           "a2 a1",
			`SELECT sku FROM products WHERE name LIKE '%mug' ORDER BY sku`:                                                                                 "a2",
			`SELECT sku FROM products WHERE LOWER(name) LIKE '%mug' ORDER BY sku`:                                                                          "a1 a2",
			`SELECT sku FROM products WHERE name LIKE '%100!%' ESCAPE '!'`:                                                                                 "B1",
			`SELECT sku FROM products WHERE sku = 'A1'`:                                                                                                    "",
			`SELECT sku || ':' || name FROM products WHERE sku = 'b2'`:                                                                                     "b2:Zoe",
			`SELECT 'back\slash' || '?'`:                                                                                                                   `back\slash?`,
			`SELECT c.name FROM categories c JOIN products p ON p.category = c.id WHERE p.sku = 'B1'`:                                                      "It's -- tea",
			`SELECT COUNT(*) FROM products WHERE active AND NOT (price = 0)`:                                                                               "3",
			`SELECT SUM(price) FROM products`:                                                                                                              "1545",
			`SELECT COALESCE(SUM(price), 0) FROM products WHERE sku = 'none'`:                                                                              "0",
			`SELECT category FROM products GROUP BY category HAVING COUNT(*) > 1 ORDER BY category`:                                                        "1 2",
			`SELECT CASE WHEN price > 500 THEN 'dear' ELSE 'cheap' END FROM products WHERE sku = 'B1'`:                                                     "dear",
			`SELECT "order" FROM products WHERE sku = 'a1' FOR UPDATE`:                                                                                     "0",
			`WITH dear AS (SELECT sku FROM products WHERE price > 299) SELECT sku FROM dear ORDER BY sku`:                                                  "B1 a2",
			`SELECT sku FROM products WHERE EXISTS (SELECT 1 FROM categories WHERE id = category AND name LIKE 'It%') ORDER BY sku`:                        "B1 b2",
			`SELECT sku FROM (SELECT sku, ROW_NUMBER() OVER (PARTITION BY category ORDER BY price DESC) AS n FROM products) best WHERE n = 1 ORDER BY sku`: "B1 a2",
		} {
			var args []any
			if strings.Contains(query, "?") && !strings.Contains(query, "'?'") {
				args = append(args, "a1")
			}
			if got := b.column(query, args...); got != want {
				b.Errorf("%s\n\tgot  %q\n\twant %q", query, got, want)
			}
		}
	},
	"ManyKeys": func(b *bench) {
		b.schema(shopSchema)
		keys := []any{"a1", "b2", "none"}
		got := b.column(`SELECT sku FROM products WHERE sku IN (?`+strings.Repeat(", ?", len(keys)-1)+`) ORDER BY sku`, keys...)
		if got != "a1 b2" {
			b.Errorf("got %q", got)
		}
	},
	"UpdateCountsWhatItFound": func(b *bench) {
		b.schema(shopSchema)
		for range 2 { // the second changes nothing, and still finds the rows
			if n := b.exec(b.db, `UPDATE products SET price = 100 WHERE category = ?`, 1); n != 2 {
				b.Errorf("updated %d rows; want 2", n)
			}
		}
	},
	"OnConflictDoNothing": func(b *bench) {
		b.schema(shopSchema)
		const insert = `INSERT INTO categories (id, name) VALUES (?, ?) ON CONFLICT (id) DO NOTHING`
		b.must(b.db.InTx(b.ctx, func(_ context.Context, tx *store.Tx) error {
			first, second := b.exec(tx, insert, 9, "new"), b.exec(tx, insert, 9, "newer")
			if first != 1 || second != 0 {
				b.Errorf("inserted %d, then %d; want 1, then 0", first, second)
			}
			return nil
		}))
		if got := b.column(`SELECT name FROM categories WHERE id = 9`); got != "new" {
			b.Errorf("got %q", got)
		}
	},
	"OnConflictDoUpdate": func(b *bench) {
		b.schema(shopSchema)
		const upsert = `INSERT INTO products (sku, category, name, price) VALUES (?, ?, ?, ?)
			ON CONFLICT (sku) DO UPDATE SET name = excluded.name, price = products.price + excluded.price`
		b.exec(b.db, upsert, "n1", 1, "first", 10)
		b.exec(b.db, upsert, "n1", 1, "second", 5)
		if got := b.column(`SELECT name || ' ' || CASE WHEN price = 15 THEN 'sum' ELSE 'lost' END FROM products WHERE sku = 'n1'`); got != "second sum" {
			b.Errorf("got %q", got)
		}
	},
	"UniqueKeys": func(b *bench) {
		b.schema(shopSchema)
		_, err := b.db.Exec(b.ctx, `INSERT INTO categories (id, name) VALUES (?, ?)`, 3, "mugs; and cups")
		if !errors.Is(err, store.ErrConflict) {
			b.Fatalf("got %v; want ErrConflict", err)
		}
		if strings.Contains(err.Error(), "mugs") {
			b.Errorf("the error %q has the value in it", err)
		}
		if _, err := b.db.Exec(b.ctx, `INSERT INTO categories (id, name) VALUES (?, ?)`, 1, "x"); !errors.Is(err, store.ErrConflict) {
			b.Errorf("primary key: got %v; want ErrConflict", err)
		}
		// Neither case, accents nor spaces at the end make two texts one.
		for id, name := range []string{"Mug", "mug", "múg", "mug "} {
			b.exec(b.db, `INSERT INTO categories (id, name) VALUES (?, ?)`, 100+id, name)
		}
	},
	"ForeignKeys": func(b *bench) {
		b.schema(shopSchema)
		_, err := b.db.Exec(b.ctx, `INSERT INTO products (sku, category, name, price) VALUES ('x', 99, 'x', 1)`)
		if !errors.Is(err, store.ErrReference) {
			b.Errorf("insert: got %v; want ErrReference", err)
		}
		if _, err := b.db.Exec(b.ctx, `DELETE FROM categories WHERE id = ?`, 1); !errors.Is(err, store.ErrReference) {
			b.Errorf("delete: got %v; want ErrReference", err)
		}
	},
	"QueriesInsideOfRows": func(b *bench) {
		b.schema(shopSchema)
		rows, err := b.db.Query(b.ctx, `SELECT sku FROM products ORDER BY sku`)
		b.must(err)
		defer rows.Close()
		var seen []string
		for rows.Next() {
			var sku string
			b.must(rows.Scan(&sku))
			seen = append(seen, sku+"="+b.column(`SELECT name FROM products WHERE sku = ?`, sku))
			if all := b.column(`SELECT sku FROM products ORDER BY sku`); all != "B1 a1 a2 b2" {
				b.Errorf("the same query inside of itself: %q", all)
			}
		}
		b.must(rows.Err())
		if !slices.Equal(seen, []string{"B1=Green Tea 100%", "a1=White Mug", "a2=red mug", "b2=Zoe"}) {
			b.Errorf("got %q", seen)
		}
	},
	"Collect": func(b *bench) {
		b.schema(shopSchema)
		const query = `SELECT sku FROM products WHERE price > ? ORDER BY sku`
		sku := func(scan func(...any) error) (s string, err error) {
			err = scan(&s)
			return s, err
		}
		b.must(b.db.InTx(b.ctx, func(ctx context.Context, tx *store.Tx) error {
			for price, want := range map[int][]string{0: {"B1", "a1", "a2"}, 1000: nil} {
				if got, err := store.Collect(ctx, tx, sku, query, price); err != nil || !slices.Equal(got, want) {
					b.Errorf("more than %d: got %q, %v", price, got, err)
				}
			}
			unreadable := errors.New("unreadable")
			got, err := store.Collect(ctx, tx, func(func(...any) error) (string, error) { return "x", unreadable }, query, 0)
			if got != nil || !errors.Is(err, unreadable) {
				b.Errorf("rows that can't be read: got %q, %v", got, err)
			}
			_, err = store.Collect(ctx, tx, sku, query, 0) // the rows before are closed
			return err
		}))
		if _, err := store.Collect(b.ctx, b.db, sku, `SELECT * FROM nowhere`); err == nil {
			b.Errorf("a query that is wrong was taken")
		}
	},
	"Errors": func(b *bench) {
		for _, query := range []string{`SELECT * FROM nowhere`, `SELEC 1`, ``} {
			rows, err := b.db.Query(b.ctx, query)
			if err == nil {
				b.Errorf("%q was taken", query)
				_ = rows.Close()
			}
		}
	},
}

// column reads a query of one column as text.
func (b *bench) column(query string, args ...any) string {
	b.Helper()
	out, err := store.Collect(b.ctx, b.db, func(scan func(...any) error) (s string, err error) {
		err = scan(&s)
		return s, err
	}, query, args...)
	if err != nil {
		b.Errorf("%s: %v", query, err)
	}
	return strings.Join(out, " ")
}
