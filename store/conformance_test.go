package store_test

import (
	"testing"

	"github.com/gowarren/warren/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

func TestSQLite(t *testing.T)     { storetest.Run(t, storetest.SQLite) }
func TestPostgreSQL(t *testing.T) { storetest.Run(t, storetest.PostgreSQL) }
func TestMySQL(t *testing.T)      { storetest.Run(t, storetest.MySQL) }
