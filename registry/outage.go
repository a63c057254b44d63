package registry

import (
	"log/slog"
	"sync"
	"time"
)

// outage turns the failures of the watch and of the announcements, however
// many, into one line at the start and one at the end.
type outage struct {
	logger  *slog.Logger
	metrics *metrics

	mu    sync.Mutex
	since time.Time
	down  map[string]bool
}

func (o *outage) began(part string, cause error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.down) == 0 {
		o.since = time.Now()
		o.metrics.outages.Inc()
		o.logger.Warn("the registry is away; going on with what it said last", "part", part, "error", cause)
	}
	o.down[part] = true
}

func (o *outage) over(part string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.down[part] {
		return
	}
	delete(o.down, part)
	if len(o.down) == 0 {
		o.logger.Info("the registry is back", "away", time.Since(o.since).Round(time.Millisecond))
	}
}
