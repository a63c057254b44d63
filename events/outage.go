package events

import (
	"log/slog"
	"sync"
	"time"
)

// outage turns the failures of a part, however many, into one line at the start
// and one at the end.
type outage struct {
	logger  *slog.Logger
	metrics *metrics

	mu   sync.Mutex
	down map[string]time.Time
}

func (o *outage) began(part string, cause error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, down := o.down[part]; down {
		return
	}
	o.down[part] = time.Now()
	o.metrics.outages.WithLabelValues(part).Inc()
	o.logger.Warn("events wait", "part", part, "error", cause)
}

func (o *outage) is(part string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, down := o.down[part]
	return down
}

func (o *outage) over(part string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	since, down := o.down[part]
	if !down {
		return
	}
	delete(o.down, part)
	o.logger.Info("events go on", "part", part, "away", time.Since(since).Round(time.Millisecond))
}
