package events_test

import (
	"testing"

	"github.com/gowarren/warren/events/eventstest"
	"github.com/gowarren/warren/store/storetest"
)

// The suite passes on every database, with a broker in memory.
func TestSQLite(t *testing.T)     { onHub(t, storetest.SQLite) }
func TestPostgreSQL(t *testing.T) { onHub(t, storetest.PostgreSQL) }
func TestMySQL(t *testing.T)      { onHub(t, storetest.MySQL) }

func onHub(t *testing.T, database func(testing.TB) string) {
	eventstest.Run(t, func(testing.TB) eventstest.Harness {
		hub := eventstest.NewHub()
		return eventstest.Harness{
			Open: func(testing.TB) eventstest.Connection {
				conn := hub.Open()
				return eventstest.Connection{Driver: conn, Network: conn}
			},
			Stop:     func(testing.TB) { hub.Stop() },
			Start:    func(testing.TB) { hub.Start() },
			Lose:     func(_ testing.TB, f func()) { hub.Lose(f) },
			Database: database,
		}
	})
}
