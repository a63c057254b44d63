// Package limit bounds how often something may happen per key: the generic
// cell rate algorithm over a bounded, sharded table, so that neither the
// number of callers nor the number of their addresses costs memory.
package limit

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// Rate allows Requests per Per, of which Burst may come at once.
type Rate struct {
	Requests int           // none or less: nothing is limited
	Per      time.Duration // default: one second
	Burst    int           // default: Requests
}

// Unlimited tells whether the rate refuses nothing.
func (r Rate) Unlimited() bool { return r.Requests <= 0 }

func (r Rate) normal() Rate {
	if r.Per <= 0 {
		r.Per = time.Second
	}
	if r.Burst <= 0 {
		r.Burst = r.Requests
	}
	return r
}

// Decision is the answer for one request.
type Decision struct {
	Allowed    bool
	Limit      int           // how many requests a full bucket holds
	Remaining  int           // how many more may come at once
	Reset      time.Duration // until the bucket is full again
	RetryAfter time.Duration // how long a refused request has to wait: exactly
}

// Options of a limiter; the zero value works.
type Options struct {
	MaxKeys int              // how many keys are remembered; default 100,000
	Clock   func() time.Time // default: time.Now
}

const shards = 64

// Limiter remembers, per key, when its bucket is full again. It is safe for
// concurrent use, and never holds more than MaxKeys keys: when it is full, the
// key that is nearest to a full bucket is forgotten.
type Limiter struct {
	clock  func() time.Time
	start  time.Time
	seed   maphash.Seed
	shards [shards]shard
}

type shard struct {
	mu  sync.Mutex
	max int
	// full is the theoretical arrival time: when the bucket is full again.
	full map[string]time.Duration
	_    [40]byte // keeps shards' locks on different cache lines
}

// New returns an empty limiter.
func New(opts Options) *Limiter {
	if opts.MaxKeys <= 0 {
		opts.MaxKeys = 100_000
	}
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	l := &Limiter{clock: opts.Clock, start: opts.Clock(), seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].max = max(1, opts.MaxKeys/shards)
		l.shards[i].full = map[string]time.Duration{}
	}
	return l
}

// Allow takes one request out of the key's bucket, or says how long to wait.
// The rate may change from call to call: what was taken stays taken.
func (l *Limiter) Allow(key string, rate Rate) Decision {
	if rate.Unlimited() {
		return Decision{Allowed: true}
	}
	rate = rate.normal()
	now := l.clock().Sub(l.start)
	s := &l.shards[maphash.String(l.seed, key)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.take(key, rate, now)
}

// forever is the longest time in which a bucket may fill: beyond it, a burst
// of years' worth of requests would overflow.
const forever = time.Duration(1 << 61)

func (s *shard) take(key string, rate Rate, now time.Duration) Decision {
	interval := max(1, rate.Per/time.Duration(rate.Requests))
	tolerance := interval * min(time.Duration(rate.Burst), forever/interval) //nolint:durationcheck // a count of intervals
	full, known := s.full[key]
	// A bucket emptied under a slower rate must not block for longer than the
	// rate now in force can explain.
	full = min(max(full, now), now+tolerance)
	next := full + interval
	d := Decision{Limit: rate.Burst}
	if wait := next - tolerance - now; wait > 0 {
		d.RetryAfter, d.Reset = wait, full-now
		return d
	}
	if !known {
		s.makeRoom(now)
	}
	s.full[key] = next
	d.Allowed = true
	d.Remaining = int((tolerance - (next - now)) / interval)
	d.Reset = next - now
	return d
}

// Return puts one request back: it was taken, but refused for another reason.
func (l *Limiter) Return(key string, rate Rate) {
	if rate.Unlimited() {
		return
	}
	rate = rate.normal()
	s := &l.shards[maphash.String(l.seed, key)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if full, known := s.full[key]; known {
		s.full[key] = full - max(1, rate.Per/time.Duration(rate.Requests))
	}
}

// sample is how many keys are looked at to find one to forget: enough to
// almost never forget a key that is being limited, and constant in time.
const sample = 8

func (s *shard) makeRoom(now time.Duration) {
	if len(s.full) < s.max {
		return
	}
	var victim string
	var soonest time.Duration
	seen := 0
	for key, full := range s.full { // a map's iteration starts anywhere
		if seen == 0 || full < soonest {
			victim, soonest = key, full
		}
		if full <= now { // a full bucket is the same as none
			delete(s.full, key)
			victim = ""
		}
		if seen++; seen == sample {
			break
		}
	}
	if victim != "" && len(s.full) >= s.max {
		delete(s.full, victim)
	}
}

// Len is how many keys are remembered.
func (l *Limiter) Len() int {
	n := 0
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		n += len(s.full)
		s.mu.Unlock()
	}
	return n
}

// AddressKey is what identifies a client by its address: the address itself,
// or for IPv6 its /64, because that is what one client is given.
func AddressKey(addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if prefix, err := addr.Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return addr.String()
}
