// Package storetest is what every database behind package store must pass, and
// gives other tests fresh databases on each of them:
//
//	func TestMain(m *testing.M) { storetest.Main(m) }
//
//	func TestStock(t *testing.T) {
//		storetest.Each(t, func(t *testing.T, address string) { … })
//	}
//
// PostgreSQL and MariaDB are real servers, named by the environment variables
// WARREN_TEST_POSTGRES and WARREN_TEST_MYSQL, which scripts/servers sets up.
// Without them tests go wrong rather than being left out: nobody would notice.
package storetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gowarren/warren/store"
)

const (
	postgresVariable = "WARREN_TEST_POSTGRES"
	mysqlVariable    = "WARREN_TEST_MYSQL"
)

// Main runs the tests. The suite starts the test's own binary again where it
// needs several processes; Main is where those begin.
func Main(m *testing.M) {
	if role := os.Getenv(childVariable); role != "" {
		os.Exit(child(role, os.Getenv(childAddress)))
	}
	os.Exit(m.Run())
}

// Each runs test on a fresh, empty database of each kind.
func Each(t *testing.T, test func(t *testing.T, address string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, PostgreSQL(t)) })
	t.Run("mysql", func(t *testing.T) { test(t, MySQL(t)) })
}

// SQLite returns the URL of a fresh database file, deleted after the test.
func SQLite(t testing.TB) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "test.db")
}

// PostgreSQL returns the URL of a fresh database, dropped after the test.
func PostgreSQL(t testing.TB) string {
	t.Helper()
	// Text is ordered by its bytes, as on the others.
	return fresh(t, postgresVariable, `CREATE DATABASE "%s" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'`,
		`DROP DATABASE IF EXISTS "%s" WITH (FORCE)`)
}

// MySQL returns the URL of a fresh database, on MariaDB as a rule, dropped after
// the test.
func MySQL(t testing.TB) string {
	t.Helper()
	return fresh(t, mysqlVariable, `CREATE DATABASE "%s"`, `DROP DATABASE IF EXISTS "%s"`)
}

func fresh(t testing.TB, variable, create, drop string) string {
	t.Helper()
	server := os.Getenv(variable)
	if server == "" {
		t.Fatalf(`%s is not set: run "make test", or eval "$(scripts/servers start)", for a real server`, variable)
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	name := "test_" + strings.ToLower(rand.Text())[:16]
	administer(t, server, fmt.Sprintf(create, name))
	t.Cleanup(func() { administer(t, server, fmt.Sprintf(drop, name)) })
	u.Path = "/" + name
	return u.String()
}

// administer runs a statement on the server's own database.
func administer(t testing.TB, server, statement string) {
	t.Helper()
	db, err := store.Open(context.Background(), server, store.Options{MaxOpen: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(context.Background(), statement); err != nil {
		t.Errorf("%s: %v", statement, err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
