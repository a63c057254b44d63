// Package registrytest holds what every driver of a registry must pass, faults
// included, and a registry in memory for the tests of what uses one.
package registrytest

import (
	"slices"
	"testing"
	"time"

	"github.com/gowarren/warren/registry/driver"
)

// Harness runs one engine for one test.
type Harness struct {
	// Open connects one more process to the engine.
	Open func(testing.TB) Connection
	// Session is how long the engine keeps what a dead process has put.
	Session time.Duration
	// Listed is what a driver that can't announce lists.
	Listed []driver.Instance

	// Stop takes the engine away, Start brings it back with its data, Wipe
	// makes the next Start begin without them.
	Stop, Start, Wipe func(testing.TB)
	// Lapse ends every session at once.
	Lapse func(testing.TB)
	// Compact makes the engine forget the changes up to now; nil for an engine
	// that remembers none.
	Compact func(testing.TB)
}

// Connection is a driver, and the network between it and the engine.
type Connection struct {
	driver.Driver
	Network Network
}

// Network can be broken: Cut ends connections and refuses new ones, Swallow
// lets them stand but nothing pass, Heal ends both.
type Network interface {
	Cut()
	Swallow()
	Heal()
}

// Run runs the suite. A part that the driver's capabilities do not cover is
// not run; one that they cover must pass. Names choose some parts, for an
// engine that is run in several ways and has passed all of them in one.
func Run(t *testing.T, start func(testing.TB) Harness, only ...string) {
	parts := map[string]func(*testing.T, Harness){"Listing": listing}
	capabilities := start(t).Open(t).Capabilities()
	if capabilities.Announce {
		parts = map[string]func(*testing.T, Harness){
			"Life":          life,
			"EveryField":    everyField,
			"Takeover":      takeover,
			"Churn":         churn,
			"Outage":        outage,
			"StartAway":     startAway,
			"StartFromDisk": startFromDisk,
			"LostWatch":     lostWatch,
			"Compaction":    compaction,
		}
	}
	if capabilities.Announce && capabilities.Expiry {
		parts["Death"] = death
		parts["Amnesia"] = amnesia
		parts["Lapse"] = lapse
		parts["MassExpiry"] = massExpiry
	}
	for _, name := range only {
		if parts[name] == nil {
			t.Errorf("there is no part %s", name)
		}
	}
	for name, part := range parts {
		if len(only) > 0 && !slices.Contains(only, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			part(t, start(t))
		})
	}
}
