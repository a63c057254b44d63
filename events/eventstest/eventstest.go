// Package eventstest holds what every driver of events must pass, faults
// included, and a broker in memory for the tests of what uses events.
package eventstest

import (
	"slices"
	"testing"

	"github.com/gowarren/warren/events/driver"
	"github.com/gowarren/warren/store/storetest"
)

// Harness runs one broker for one test.
type Harness struct {
	// Open connects one more process to the broker.
	Open func(testing.TB) Connection
	// Stop kills the broker, Start brings it back with its data.
	Stop, Start func(testing.TB)
	// Lose kills the broker and brings it back without what it accepted while f
	// ran. Nil for a driver whose Unsynced is 0.
	Lose func(tb testing.TB, f func())
	// Database returns the URL of a fresh database. Default: SQLite.
	Database func(testing.TB) string
}

// Connection is a driver, and the network between it and the broker.
type Connection struct {
	driver.Driver
	Network Network
}

// Network can be broken: Cut ends connections and refuses new ones, Heal ends it.
type Network interface {
	Cut()
	Heal()
}

// Run runs the suite. Names choose some parts, for a broker that is run in several
// ways and has passed all of them in one.
func Run(t *testing.T, start func(testing.TB) Harness, only ...string) {
	parts := map[string]func(*testing.T, *bench){
		"OnceAndInOrder":      onceAndInOrder,
		"Unordered":           unordered,
		"TwoGroups":           twoGroups,
		"Headers":             headers,
		"Outcomes":            outcomes,
		"Poison":              poison,
		"Letters":             letters,
		"Unreadable":          unreadable,
		"Refused":             refused,
		"BrokerAway":          brokerAway,
		"BrokerKilled":        brokerKilled,
		"ConnectionCut":       connectionCut,
		"AcceptedNotNoted":    acceptedNotNoted,
		"HandledNotConfirmed": handledNotConfirmed,
		"SlowHandler":         slowHandler,
		"ProcessesDie":        processesDie,
		"TwoRelays":           twoRelays,
		"LongTransaction":     longTransaction,
	}
	first := start(t).Open(t)
	if first.Capabilities().Unsynced > 0 {
		parts["LostTail"] = lostTail
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	for _, name := range only {
		if parts[name] == nil {
			t.Errorf("there is no part %s", name)
		}
	}
	for name, part := range parts {
		if len(only) > 0 && !contains(only, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t)
			if h.Database == nil {
				h.Database = storetest.SQLite
			}
			part(t, newBench(t, h))
		})
	}
}

func contains(list []string, name string) bool {
	return slices.Contains(list, name)
}
