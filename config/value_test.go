package config_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gowarren/warren/config"
)

func TestGetAllocatesNothing(t *testing.T) {
	v := config.Watch(start(t, config.Options{}), timeout, config.Scope{})
	if n := testing.AllocsPerRun(1000, func() { v.Get() }); n != 0 {
		t.Errorf("Get allocates %v times", n)
	}
}

func BenchmarkGet(b *testing.B) {
	s, err := config.New(config.Options{})
	if err != nil {
		b.Fatal(err)
	}
	v := config.Watch(s, timeout, config.Scope{Method: "/shop.v1.S/M"})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			v.Get()
		}
	})
}

func TestWatchWithoutSettings(t *testing.T) {
	if v := config.Watch(nil, timeout, config.Scope{}); v.Get() != 2*time.Second {
		t.Errorf("the default is %v", v.Get())
	}
	v := config.Watch(nil, timeout, config.Scope{}, time.Second)
	if v.Get() != time.Second {
		t.Errorf("the contract's value is %v", v.Get())
	}
	v.OnChange(func(time.Duration) { t.Error("a constant changed") })()
}

func TestWatchIsShared(t *testing.T) {
	s := start(t, config.Options{})
	scope := config.Scope{Method: "/shop.v1.S/M"}
	if once, again := config.Watch(s, timeout, scope), config.Watch(s, timeout, scope); once != again {
		t.Error("one place has two values")
	}
	if config.Watch(s, timeout, scope, time.Second).Get() == config.Watch(s, timeout, scope, time.Minute).Get() {
		t.Error("two contracts share a value")
	}
}

// Callbacks may be slow, read settings, watch more of them and stop themselves;
// they are called in order, one at a time, and the last value is told.
func TestCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		s := start(t, config.Options{Driver: m, Service: "catalog"})
		centre := newCentre(t, m)
		v := config.Watch(s, timeout, config.Scope{})
		synctest.Wait()

		var running atomic.Int32
		var told []time.Duration
		v.OnChange(func(d time.Duration) {
			if running.Add(1) > 1 {
				t.Error("two callbacks at a time")
			}
			defer running.Add(-1)
			config.Watch(s, attempts, config.Scope{Service: "other"}).Get()
			s.InForce()
			told = append(told, d)
			<-time.After(time.Second) // changes pile up meanwhile
		})
		once := 0
		var stop func()
		stop = v.OnChange(func(time.Duration) { once++; stop() })
		other := 0
		config.Watch(s, timeout, config.Scope{Service: "order"}).OnChange(func(time.Duration) { other++ })

		for i := range 5 {
			set(t, centre, "rpc.timeout", config.Scope{}, time.Duration(i+1)*time.Minute)
			synctest.Wait()
		}
		set(t, centre, "rpc.retry.attempts", config.Scope{}, 5) // not theirs
		<-time.After(time.Minute)
		synctest.Wait()
		if want := []time.Duration{time.Minute, 5 * time.Minute}; !slices.Equal(told, want) {
			t.Errorf("told %v; want %v", told, want)
		}
		if once != 1 || other != 5 {
			t.Errorf("the stopped callback was called %d times, the other value's %d", once, other)
		}
		s.Close()
	})
}
