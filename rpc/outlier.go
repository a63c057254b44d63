package rpc

import (
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// outlierPolicy is what the settings say of ejection.
type outlierPolicy struct {
	failures int64
	ratio    float64
	calls    int64
	window   time.Duration
	ejection time.Duration
	most     time.Duration
	share    float64
}

// outlier watches one instance over all methods. Where a breaker refuses
// calls, ejection sends them elsewhere.
type outlier struct {
	inARow  atomic.Int64 // failures since the last success
	broke   atomic.Int64 // when a connection last broke
	started atomic.Int64 // of the window
	calls   atomic.Int64
	bad     atomic.Int64

	until     atomic.Int64 // ejected until then
	ejections atomic.Int64 // in a row
}

func (o *outlier) succeeded(now int64, p outlierPolicy) {
	if o.inARow.Load() != 0 {
		o.inARow.Store(0)
	}
	o.count(now, p)
	// An instance that has been good for long is a first offender again.
	if o.ejections.Load() != 0 && now-o.until.Load() > int64(p.most) {
		o.ejections.Store(0)
	}
}

// failed reports whether the instance has failed enough to be ejected. Calls
// that end with one broken connection began before it broke, and fail
// together: in the row they are one failure, or every restart would eject.
func (o *outlier) failed(err error, began, now int64, p outlierPolicy) bool {
	o.count(now, p)
	bad := o.bad.Add(1)
	inARow := o.inARow.Load()
	if status.Code(err) != codes.Unavailable || began >= o.broke.Load() {
		inARow = o.inARow.Add(1)
		o.broke.Store(now)
	}
	if o.ejected(now) {
		return false
	}
	calls := o.calls.Load()
	return inARow >= p.failures || calls >= p.calls && float64(bad) >= p.ratio*float64(calls)
}

// count counts a call, and starts a new window when the last one is over.
// Calls that race with the start may be counted in either.
func (o *outlier) count(now int64, p outlierPolicy) {
	started := o.started.Load()
	if now-started > int64(p.window) && o.started.CompareAndSwap(started, now) {
		o.calls.Store(0)
		o.bad.Store(0)
	}
	o.calls.Add(1)
}

func (o *outlier) ejected(now int64) bool { return now < o.until.Load() }

// eject keeps the instance out, longer each time in a row.
func (o *outlier) eject(now int64, p outlierPolicy) time.Duration {
	d := min(p.ejection*time.Duration(o.ejections.Add(1)), p.most)
	o.until.Store(now + int64(d))
	o.inARow.Store(0)
	o.calls.Store(0)
	o.bad.Store(0)
	return d
}

// eject takes the instance out of choice for a while, unless too many of its
// service are out already: when all look bad, the fault lies elsewhere, and
// the ones left would drown.
func (p *pool) eject(in *instance, policy outlierPolicy, now int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if in.stats.outlier.ejected(now) {
		return
	}
	total, out := 0, 0
	for key, other := range p.instances {
		if key.service == in.key.service && len(other.info.Contracts) > 0 { // the others serve plain HTTP
			total++
			if other.stats.outlier.ejected(now) {
				out++
			}
		}
	}
	if float64(out+1) > policy.share*float64(total) {
		return
	}
	d := in.stats.outlier.eject(now, policy)
	p.client.metrics.ejections.Inc()
	p.client.logger.Warn("instance ejected", "ejected", in.key.id, "ejected_service", in.key.service, "for", d.String())
	p.rebuildFor(in)
}
