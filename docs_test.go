package warren_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestExamplesAreShown: what a document shows as an example stands in Go code that
// is compiled and run, word for word, and is short. The comment above a block says
// where.
func TestExamplesAreShown(t *testing.T) {
	const longest = 20
	shown := regexp.MustCompile("(?s)<!-- example: (\\S+) -->\n```go\n(.*?)```")
	for document, least := range map[string]int{"docs/transactions.md": 3, "docs/events.md": 1} {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		blocks := shown.FindAllStringSubmatch(string(text), -1)
		if len(blocks) < least {
			t.Errorf("%s: %d examples, want %d at least", document, len(blocks), least)
		}
		for _, block := range blocks {
			source, err := os.ReadFile(block[1])
			if err != nil {
				t.Errorf("%s: %v", document, err)
				continue
			}
			code := leftAligned(block[2])
			if n := strings.Count(code, "\n"); n > longest {
				t.Errorf("%s: an example of %s has %d lines, more than %d", document, block[1], n, longest)
			}
			if !strings.Contains("\n"+leftAligned(string(source)), "\n"+code) {
				t.Errorf("%s: this is not in %s:\n%s", document, block[1], block[2])
			}
		}
	}
}

// leftAligned is code without its indentation, which differs in a document.
func leftAligned(code string) string {
	return regexp.MustCompile(`(?m)^[\t ]+`).ReplaceAllString(code, "")
}
