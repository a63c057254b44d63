// Package docs holds the pages that programs show where they are needed.
package docs

import (
	_ "embed"
	"strings"
)

//go:embed alerts.md
var alerts string

// Runbook is what to do about an alert that Warren ships, in Markdown; empty
// where it ships none of that name.
func Runbook(alert string) string {
	_, text, ok := strings.Cut(alerts, "\n### "+alert+"\n")
	if !ok {
		return ""
	}
	text, _, _ = strings.Cut(text, "\n#")
	return strings.TrimSpace(text)
}
