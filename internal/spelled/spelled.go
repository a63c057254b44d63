// Package spelled writes durations as people type them.
package spelled

import (
	"strings"
	"time"
)

// Duration writes 1h for what time.Duration calls 1h0m0s. time.ParseDuration reads
// it.
func Duration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
