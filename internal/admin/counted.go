package admin

import (
	"net/http"
	"runtime"
	"runtime/pprof"
	"sync"
	"time"
)

// What waiting costs to be counted is little, and nothing while nobody asks.
const (
	mutexFraction = 5                     // one of so many waits for a mutex is counted
	blockRate     = 10 * time.Microsecond // of shorter waits only some are
)

// contention lets the runtime count who waits for whom, as long as somebody asks.
type contention struct {
	mu     sync.Mutex
	askers map[string]int
	before int // the fraction of mutexes that the program itself has set
}

// begin starts to count what a profile tells of, if it does not count by itself.
func (c *contention) begin(profile string) (end func()) {
	c.change(profile, 1)
	return func() { c.change(profile, -1) }
}

func (c *contention) change(profile string, by int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.askers == nil {
		c.askers = map[string]int{}
	}
	before := c.askers[profile]
	c.askers[profile] += by
	switch first, last := before == 0, c.askers[profile] == 0; {
	case profile == "mutex" && first:
		c.before = runtime.SetMutexProfileFraction(mutexFraction)
	case profile == "mutex" && last:
		runtime.SetMutexProfileFraction(c.before)
	case profile == "block" && first:
		runtime.SetBlockProfileRate(int(blockRate))
	case profile == "block" && last:
		runtime.SetBlockProfileRate(0)
	}
}

// countedProfile writes a profile that counts up, after the seconds asked for:
// whoever wants those alone takes away what an earlier one has.
func (c *contention) countedProfile(w http.ResponseWriter, r *http.Request, profile *pprof.Profile) {
	length, ok := lengthOf(w, r, time.Second)
	if !ok {
		return
	}
	end := c.begin(profile.Name())
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		end()
	case <-r.Context().Done():
		end()
		return
	}
	attach(w, profile.Name())
	// A reader that went away is no concern of the process.
	_ = profile.WriteTo(w, 0)
}
