package docs_test

import (
	"strings"
	"testing"

	"github.com/gowarren/warren/docs"
)

// TestRunbook takes of the page of alerts what is about one, and no more; that
// every alert has its part is held by the test of the rules.
func TestRunbook(t *testing.T) {
	text := docs.Runbook("ServiceDown")
	if !strings.HasPrefix(text, "*page.* Nobody answers") || strings.Contains(text, "#") || strings.Contains(text, "Some instances are starting") {
		t.Errorf("ServiceDown: %q", text)
	}
	if text = docs.Runbook("RateLimited"); !strings.HasSuffix(text, "live.") { // before a section of another level
		t.Errorf("RateLimited: %q", text)
	}
	for _, none := range []string{"", "Service", "serviceDown", "Down"} {
		if text := docs.Runbook(none); text != "" {
			t.Errorf("%q: %q", none, text)
		}
	}
}
