package store

import (
	"strings"
	"testing"
)

func TestTranslate(t *testing.T) {
	for _, c := range []struct{ text, sqlite, postgres, mysql string }{
		{text: `SELECT 1`},
		{text: `SELECT * FROM t WHERE a = ? AND b IN (?, ?)`, postgres: `SELECT * FROM t WHERE a = $1 AND b IN ($2, $3)`},
		{text: `SELECT '?', "?", 'it''s ?' -- ?`, postgres: `SELECT '?', "?", 'it''s ?' -- ?`},
		{text: "SELECT /* ? */ ?", postgres: "SELECT /* ? */ $1"},
		{text: `SELECT $$ ? $$, $a$ ? $$ ? $a$, ?`, postgres: `SELECT $$ ? $$, $a$ ? $$ ? $a$, $1`},
		{text: `SELECT a ?? 'b'`, sqlite: `SELECT a ? 'b'`, postgres: `SELECT a ? 'b'`, mysql: `SELECT a ? 'b'`},
		{text: `SELECT 'unclosed ?`},
		{text: `SELECT a FROM t FOR UPDATE;`, sqlite: `SELECT a FROM t `, postgres: `SELECT a FROM t FOR UPDATE`, mysql: `SELECT a FROM t FOR UPDATE`},
		{text: `SELECT a FROM t FOR UPDATE SKIP LOCKED`, sqlite: `SELECT a FROM t `},
		{text: `SELECT 'for update', "for" FROM t`},
		{text: `INSERT INTO t (a) VALUES ('x') ON CONFLICT (a) DO NOTHING`, mysql: `INSERT INTO t (a) VALUES ('x') `},
		{
			text:  `INSERT INTO t (a, b) VALUES ('x', 1) ON CONFLICT (a) DO UPDATE SET b = t.b + EXCLUDED.b, c = excluded."c"`,
			mysql: `INSERT INTO t (a, b) VALUES ('x', 1) ON DUPLICATE KEY UPDATE b = t.b + VALUES(b), c = VALUES("c")`,
		},
	} {
		for d, want := range map[Dialect]string{SQLite: c.sqlite, PostgreSQL: c.postgres, MySQL: c.mysql} {
			if want == "" {
				want = c.text
			}
			got, err := translate(d, c.text)
			if err != nil || got.text != want {
				t.Errorf("%s: %s\n\tgot  %v %v\n\twant %s", d, c.text, got, err, want)
			}
		}
	}
}

func TestTranslateRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":            "empty",
		" -- nothing": "empty",
		`INSERT INTO t (a) VALUES (1) ON CONFLICT (a)`:                                        "without DO NOTHING or DO UPDATE SET",
		`INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE`:                              "without DO NOTHING or DO UPDATE SET",
		`INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET a = excluded.a WHERE a=2`: "knows no WHERE",
	} {
		if _, err := translate(MySQL, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v; want %q", text, err, want)
		}
	}
}

func TestDescribe(t *testing.T) {
	for text, want := range map[string]string{
		`select sku from products p where x = (select 1 from other)`: "select products",
		`INSERT INTO "order items" (a) VALUES (1)`:                   "insert order items",
		`UPDATE stock SET a = 1`:                                     "update stock",
		`DELETE FROM stock`:                                          "delete stock",
		`SELECT COUNT(*) FROM (SELECT 1 FROM x) y`:                   "select",
		`WITH a AS (SELECT 1 FROM x) SELECT * FROM a`:                "select a",
		`WITH a AS (SELECT 1 FROM x) DELETE FROM b`:                  "delete b",
		`CREATE TABLE IF NOT EXISTS t (id BIGINT)`:                   "create t",
		`SELECT 1`:                              "select",
		`/* hint */ SELECT 1 FROM a FOR UPDATE`: "select a",
	} {
		s, err := translate(PostgreSQL, text)
		if err != nil || s.summary() != want {
			t.Errorf("%s: got %v, %v; want %q", text, s, err, want)
		}
	}
}

func TestSplit(t *testing.T) {
	got := split("-- a; b\nCREATE TABLE a (x TEXT DEFAULT ';');\n\n;/* ; */;INSERT INTO a VALUES ('it''s;') ; ")
	if len(got) != 2 || !strings.HasSuffix(got[0], "DEFAULT ';')") || got[1] != "INSERT INTO a VALUES ('it''s;')" {
		t.Errorf("got %q", got)
	}
}

// The tokens of any text are the text again, and no text makes scan stop.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{"", "SELECT ?", "'a''b", `"x`, "$$", "$a$ $a", "$1", "/*", "--", "??", "`q`", "é ?", "a$b$"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var b strings.Builder
		for _, tok := range scan(text) {
			b.WriteString(tok.text)
		}
		if b.String() != text {
			t.Errorf("%q became %q", text, b.String())
		}
		for _, d := range []Dialect{SQLite, PostgreSQL, MySQL} {
			_, _ = translate(d, text)
			_ = portableTypes(text, d)
		}
		_ = split(text)
	})
}

func TestTextsAreBounded(t *testing.T) {
	m, err := newMetrics(&DB{engine: &engine{dialect: SQLite}})
	if err != nil {
		t.Fatal(err)
	}
	texts := newStatements(SQLite)
	for i := range 2*maxStatements + 1 {
		if _, err := texts.get("SELECT "+strings.Repeat("1", i%7+1)+strings.Repeat(" ", i)+"+ 1", m); err != nil {
			t.Fatal(err)
		}
	}
	if len(texts.known) > maxStatements {
		t.Errorf("%d texts are kept", len(texts.known))
	}
}

func TestKeptStatements(t *testing.T) {
	k := newKeptStatements(2)
	a, b, c := &keptStatement{query: "a"}, &keptStatement{query: "b"}, &keptStatement{query: "c"}
	for _, s := range []*keptStatement{a, b} {
		if k.put(s) != nil {
			t.Error("evicted although there was room")
		}
	}
	if k.take("a") != a || k.take("a") != nil {
		t.Error("a statement in use was given out again")
	}
	if k.put(a) != nil || k.put(&keptStatement{query: "a"}) == nil {
		t.Error("a second copy was kept")
	}
	if k.put(c) != b || k.take("b") != nil {
		t.Error("not the one unused the longest was evicted")
	}
}
