package registry

import (
	"time"

	"github.com/gowarren/warren/registry/driver"
)

// view decides what to believe of what an engine says. One instance that
// expires is dead; most of them expiring together is a registry that lost its
// memory or its network, and then the last known good set is the better truth.
// So it is when the engine has gone back to an earlier revision: it may hold
// some again that have found their way back before the others.
type view struct {
	panic   panicPolicy
	expires bool // instances vanish by themselves, not only on purpose

	revision int64

	live map[driver.Key]Instance
	// expired are the ready instances that vanished within the window, and
	// held those that are kept in spite of it.
	expired map[driver.Key]departure
	held    map[driver.Key]departure
}

type departure struct {
	instance Instance
	at       time.Time
}

func newView(policy panicPolicy, expires bool) *view {
	return &view{
		panic: policy, expires: expires,
		expired: map[driver.Key]departure{}, held: map[driver.Key]departure{},
	}
}

// apply takes in a set from the engine. It tells whether instances are held
// because of it.
func (v *view) apply(s driver.Snapshot, now time.Time) (panicked bool) {
	forgot := v.expires && s.Revision < v.revision
	v.revision = s.Revision
	live := make(map[driver.Key]Instance, len(s.Instances))
	addresses := make(map[string]bool, len(s.Instances))
	ready := 0
	for _, instance := range s.Instances {
		live[instance.Key()] = instance
		addresses[instance.Address] = true
		if instance.State == Ready {
			ready++
		}
	}
	for key, instance := range v.live {
		if _, stays := live[key]; !stays && instance.State == Ready {
			v.expired[key] = departure{instance, now}
		}
	}
	for _, key := range s.Withdrawn {
		delete(v.expired, key)
		delete(v.held, key)
	}
	gone := func(key driver.Key, d departure) bool {
		// A living instance at its address is proof enough that it is gone.
		_, back := live[key]
		return back || addresses[d.instance.Address]
	}
	for key, d := range v.held {
		if gone(key, d) {
			delete(v.held, key)
		}
	}
	for key, d := range v.expired {
		if gone(key, d) || now.Sub(d.at) > v.panic.window.Get() {
			delete(v.expired, key)
		}
	}
	v.live = live
	if !forgot && float64(len(v.expired)) <= v.panic.threshold.Get()*float64(ready+len(v.expired)) {
		return false
	}
	for key, d := range v.expired {
		if _, already := v.held[key]; !already {
			v.held[key] = d
			panicked = true
		}
	}
	return panicked
}

// instances returns the believed set, when it changes by itself because a hold
// ends (zero: never), and how many holds have ended.
func (v *view) instances(now time.Time) (set []Instance, until time.Time, dropped int) {
	set = make([]Instance, 0, len(v.live)+len(v.held))
	for _, instance := range v.live {
		set = append(set, instance)
	}
	hold := v.panic.hold.Get()
	for key, d := range v.held {
		end := d.at.Add(hold)
		if !now.Before(end) {
			delete(v.held, key)
			dropped++
			continue
		}
		if until.IsZero() || end.Before(until) {
			until = end
		}
		d.instance.Suspect = true
		set = append(set, d.instance)
	}
	return set, until, dropped
}
