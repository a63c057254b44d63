package store_test

import (
	"context"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
)

func TestOpenRefusesBadURLs(t *testing.T) {
	for address, want := range map[string]string{
		"":                                         "no scheme",
		"oracle://h/x":                             "linked: mysql, postgres, postgresql, sqlite",
		"sqlite:":                                  "names no file",
		"sqlite:data/":                             "names no file",
		"sqlite::memory:":                          "name a file",
		"sqlite://data/shop.db":                    "write sqlite:data/shop.db for a relative path",
		"sqlite:x.db?sync=full":                    `unknown parameter "sync"; known: busy_timeout, max_open, synchronous`,
		"sqlite:x.db?synchronous=fast":             "is one of off, normal, full, extra",
		"sqlite:x.db?busy_timeout=fast":            "is not a duration",
		"postgres://u:hunter2@h":                   "names no database",
		"postgres://u:hunter2@h/d?ssl=1":           `unknown parameter "ssl"; known: application_name`,
		"postgres://u:hunter2@h:port/d":            "malformed URL",
		"postgres://u:hunter2@h/d?sslmode=maybe":   "sslmode",
		"postgres://u:hunter2@h/d?max_open=much":   "is not a whole number",
		"mysql://u:hunter2@h":                      "names no database",
		"mysql://u:hunter2@h/d?tls=maybe":          "is true, false or skip-verify",
		"mysql://u:hunter2@h/d?multiStatements=1":  `unknown parameter "multiStatements"`,
		"mysql://u:hunter2@h/d?connect_timeout=1x": "is not a duration",
	} {
		_, err := store.Open(t.Context(), address, store.Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%q): got %v; want %q", address, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open(%q): the error %v has the password", address, err)
		}
	}
}

func TestOpenTakesGoodURLs(t *testing.T) {
	for address, want := range map[string]store.Dialect{
		"sqlite:x.db?synchronous=normal&busy_timeout=1s&max_open=2":                    store.SQLite,
		"postgres://a:1,b:2/d?target_session_attrs=read-write&max_open=3":              store.PostgreSQL,
		"postgresql://u@/d?host=/var/run/postgresql&search_path=shop&lock_timeout=100": store.PostgreSQL,
		"mysql://u:p%40@[::1]/d?tls=true&connect_timeout=1s":                           store.MySQL,
		"mysql://u@/d?socket=/run/mysqld/mysqld.sock":                                  store.MySQL,
	} {
		if got := open(t, address, store.Options{}).Dialect(); got != want {
			t.Errorf("%s speaks %s; want %s", address, got, want)
		}
	}
}

func TestErrorsOfConnectingHaveNoPassword(t *testing.T) {
	for _, address := range []string{"postgres://u:hunter2@127.0.0.1:1/d", "mysql://u:hunter2@127.0.0.1:1/d"} {
		db, err := store.Open(t.Context(), address, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Ping(t.Context()); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Ping(%q): %v", address, err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestPathsOfFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, path := range []string{"plain.db", "deep/er/x.db", "with space.db", "with%20escape.db", "odd%3F%23%25.db", t.TempDir() + "/absolute.db"} {
		db, err := store.Open(t.Context(), "sqlite:"+path, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(t.Context(), `CREATE TABLE x (id BIGINT)`); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if err := db.Close(); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestSQLiteRefusesWritingQueries(t *testing.T) {
	db := open(t, storetest.SQLite(t), store.Options{})
	rows, err := db.Query(t.Context(), `CREATE TABLE x (id BIGINT)`)
	if err == nil {
		_ = rows.Close()
		t.Error("Query wrote")
	}
}

func TestNamesAreUniquePerProcess(t *testing.T) {
	metrics := prometheus.NewRegistry()
	address := storetest.SQLite(t)
	one, err := store.Open(t.Context(), address, store.Options{Name: "shop", Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), address, store.Options{Name: "shop", Metrics: metrics}); err == nil || !strings.Contains(err.Error(), "set Options.Name") {
		t.Errorf("a second database of the same name: %v", err)
	}
	open(t, address, store.Options{Name: "other", Metrics: metrics})
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, address, store.Options{Name: "shop", Metrics: metrics}) // the name is free again
}

func TestCloseLeavesNoGoroutine(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		before := goleak.IgnoreCurrent()
		db, err := store.Open(t.Context(), address, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		rows, err := db.Query(ctx, `SELECT 1`)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := rows.Close(); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
		if err := db.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		goleak.VerifyNone(t, before)
	})
}

func open(t testing.TB, address string, opts store.Options) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), address, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}
