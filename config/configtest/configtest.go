// Package configtest is the conformance suite for drivers of package config: a
// driver is what passes it. It tests the driver and the portable type together,
// as users meet them, with the faults of real engines.
//
//	func TestConformance(t *testing.T) {
//		configtest.Run(t, func(t *testing.T) configtest.Harness { … })
//	}
package configtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/config/driver"
)

// Harness is an engine with nothing in it yet, and power over it.
type Harness struct {
	// Open returns a driver with a connection of its own to the engine. The
	// harness closes it at the end of the test.
	Open func(t *testing.T) driver.Driver
	// Stop takes the engine away without a goodbye; Start brings it back with
	// its data.
	Stop, Start func(t *testing.T)
	// Write puts bytes in the document's place, past the driver; nil removes it.
	Write func(t *testing.T, environment string, data []byte)
	// Read returns the bytes of the document.
	Read func(t *testing.T, environment string) []byte
	// Forget makes the engine drop what a watch could resume from, as a
	// compaction does, while watches are cut off; nil for an engine without such a thing.
	Forget func(t *testing.T)
}

// Run runs the suite; start makes a harness for each test of it. Names choose
// some tests, for an engine that is run in several ways and has passed all of
// them in one.
func Run(t *testing.T, start func(t *testing.T) Harness, only ...string) {
	tests := []struct {
		name string
		run  func(*testing.T, *suite)
	}{
		{"what is set is in force everywhere within a second", testLive},
		{"layers of the centre", testLayers},
		{"deletion falls back", testDeletion},
		{"bad changes are refused with the reason", testRefusal},
		{"environments are apart", testEnvironments},
		{"history, diff and rollback", testHistory},
		{"concurrent writers lose nothing", testConcurrentWriters},
		{"a publish on an old base is a conflict", testConflict},
		{"fifty changes in a row end with the last", testBurst},
		{"a damaged document changes nothing", testDamage},
		{"a document that goes back changes nothing", testOlder},
		{"a document that vanishes changes nothing", testGone},
		{"the centre goes and comes back", testOutage},
		{"a start without the centre", testSnapshot},
		{"a start before the centre", testLateCentre},
		{"a change made while the watch was lost", testLostWatch},
		{"a setting keeps its type", testTypeChange},
		{"secrets stay secret", testSecrets},
		{"definitions come and go", testDefinitions},
		{"close ends a watch", testClose},
	}
	ran := 0
	for _, test := range tests {
		if len(only) > 0 && !slices.Contains(only, test.name) {
			continue
		}
		ran++
		t.Run(strings.ReplaceAll(test.name, " ", "_"), func(t *testing.T) {
			test.run(t, &suite{Harness: start(t)})
		})
	}
	if len(only) > 0 && ran != len(only) {
		t.Errorf("%d of the tests %q were run", ran, only)
	}
}

const (
	environment = "local"
	within      = 20 * time.Second // the promise is one second; a busy machine that detects races gets more
	atLast      = 30 * time.Second // the bound of what has no promise but must happen
)

const (
	get  = "/shop.catalog.v1.CatalogService/GetProduct"
	list = "/shop.catalog.v1.CatalogService/ListProducts"
)

func timeout() config.Setting[time.Duration] {
	return config.Duration("rpc.timeout", 2*time.Second, time.Millisecond, time.Hour, "how long a call may take")
}

func attempts() config.Setting[int] {
	return config.Int("rpc.retry.attempts", 3, 1, 10, "how often a call is tried")
}

// suite is what the tests share.
type suite struct {
	Harness
}

// centre returns a centre in which the suite's settings are defined.
func (s *suite) centre(t *testing.T) *config.Centre {
	t.Helper()
	c, err := config.NewCentre(s.Open(t), environment)
	if err != nil {
		t.Fatal(err)
	}
	definitions := []config.Definition{timeout().Definition(), attempts().Definition()}
	if err := c.Define(t.Context(), "catalog", definitions); err != nil {
		t.Fatal(err)
	}
	return c
}

// settings starts a process's settings that are ready.
func (s *suite) settings(t *testing.T, change ...func(*config.Options)) *config.Settings {
	t.Helper()
	settings := s.start(t, change...)
	ctx, cancel := context.WithTimeout(t.Context(), atLast)
	defer cancel()
	if err := settings.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return settings
}

func (s *suite) start(t *testing.T, change ...func(*config.Options)) *config.Settings {
	t.Helper()
	options := config.Options{Environment: environment, Service: "catalog", Driver: s.Open(t), Logger: Quiet()}
	for _, c := range change {
		c(&options)
	}
	settings, err := config.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(settings.Close)
	return settings
}

func set(t *testing.T, c *config.Centre, name string, scope config.Scope, value string) config.Change {
	t.Helper()
	change, err := c.Set(t.Context(), []config.Edit{{Name: name, Scope: scope, New: &value}}, "ann", "a test")
	if err != nil {
		t.Fatal(err)
	}
	return change
}

func unset(t *testing.T, c *config.Centre, name string, scope config.Scope) {
	t.Helper()
	if _, err := c.Set(t.Context(), []config.Edit{{Name: name, Scope: scope}}, "ann", "a test"); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for a condition, up to a bound.
func eventually(t *testing.T, bound time.Duration, what string, met func() bool) {
	t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	end := time.After(bound)
	for !met() {
		select {
		case <-ticker.C:
		case <-end:
			t.Fatalf("not within %v: %s", bound, what)
		}
	}
}

// becomes waits until a value is in force.
func becomes[T comparable](t *testing.T, bound time.Duration, v *config.Value[T], want T) {
	t.Helper()
	eventually(t, bound, fmt.Sprintf("the value becomes %v", want), func() bool { return v.Get() == want })
}

func refused(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want one with %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
