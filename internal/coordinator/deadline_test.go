package coordinator

import (
	"testing"
	"time"

	"github.com/gowarren/warren/store/storetest"
)

// Those who take part compare a deadline with their own clocks, while the coordinator's
// stands still as its host sleeps.
func TestDeadlinesAreOfTheClockOnTheWall(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	n := w.start(Options{})
	n.engine.clock.base -= time.Hour.Microseconds() // it has slept
	n.tcc("g", time.Minute)
	resp, err := n.Register(t.Context(), registration("g", "a"))
	if err != nil {
		t.Fatal(err)
	}
	left := time.Until(resp.GetBranch().GetDeadline().AsTime())
	if left > time.Minute || left < -time.Minute { // loaded machines are slow
		t.Errorf("a try has %v", left)
	}
}
