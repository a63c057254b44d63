package console_test

import (
	"strings"
	"testing"

	"github.com/gowarren/warren/internal/console"
)

// TestChecksOfAnInstance says by name what an instance waits for, and that
// another one waits for nothing.
func TestChecksOfAnInstance(t *testing.T) {
	at := "http://" + newWorld().serve(t, console.Options{}).Address() + "/services/payment/"
	for _, c := range []struct {
		number string
		wants  []string
	}{
		{"1", []string{"What it needs to be ready", "2 of 2 pass", "database", "registry"}},
		{"2", []string{"What it needs to be ready", "1 of 2 pass", "database", "fails", "dial tcp 127.0.0.1:5432: connect: connection refused"}},
	} {
		_, page := get(t, at+c.number)
		for _, want := range c.wants {
			if !strings.Contains(page, want) {
				t.Errorf("payment/%s: no %q in\n%s", c.number, want, page)
			}
		}
		if fails := strings.Contains(page, ">fails<"); fails != (c.number == "2") {
			t.Errorf("payment/%s fails: %t", c.number, fails)
		}
	}
}
