package coordinator

import (
	"testing"

	"github.com/gowarren/warren/config"
)

// What a coordinator has not used yet can be set, too.
func TestSettingsAreKnownFromTheStart(t *testing.T) {
	s, err := config.New(config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	watchLimits(s)
	known := map[string]bool{}
	for _, d := range s.Definitions() {
		known[d.Name] = true
	}
	for _, d := range Definitions() {
		if !known[d.Name] {
			t.Errorf("%s is not known", d.Name)
		}
	}
}
