package alerting

import (
	"testing"
	"time"
)

// Rules that are evaluated seldom need longer until what goes on is known again.
func TestSettled(t *testing.T) {
	for evaluate, least := range map[time.Duration]time.Duration{0: 90 * time.Second, 10 * time.Second: 90 * time.Second, 10 * time.Minute: 20 * time.Minute} {
		if got := (Timing{Evaluate: evaluate}).settled(); got < least {
			t.Errorf("evaluated every %s, known after %s", evaluate, got)
		}
	}
}
