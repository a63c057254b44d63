package coordinator

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gowarren/warren/config"
)

// However many calls there are at once, no more run than may, none is forgotten, and
// of their goroutines a bounded number stays for the next ones, until there are none for
// a while or the gate is closed.
func TestGateKeepsFewGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		settings := quick(t, config.Entry{Name: "txn.participant.concurrency", Value: "100"})
		all := newGates(&Engine{opts: Options{Settings: settings}})
		one, _ := all.of("/shop.v1.Stock/Take")
		var mu sync.Mutex
		running, most, ran := 0, 0, 0
		release := make(chan struct{})
		call := func() {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			<-release
			mu.Lock()
			running--
			ran++
			mu.Unlock()
		}
		state := func() (spare, calls int) {
			one.mu.Lock()
			defer one.mu.Unlock()
			return one.spare, one.running
		}
		for range 300 {
			one.enter(call)
		}
		synctest.Wait()
		if running != 100 {
			t.Errorf("%d calls run at once, of at most 100", running)
		}
		close(release)
		synctest.Wait()
		if ran != 300 || most > 100 {
			t.Errorf("%d of 300 calls ran, %d at once", ran, most)
		}
		if spare, calls := state(); spare != mostSpare || calls != 0 {
			t.Errorf("%d goroutines wait for work, want %d; %d calls are counted", spare, mostSpare, calls)
		}
		for range 10 {
			one.enter(func() {})
			synctest.Wait()
		}
		if spare, _ := state(); spare != mostSpare {
			t.Errorf("%d goroutines wait after single calls, want %d", spare, mostSpare)
		}
		for range 6 {
			time.Sleep(spareTime / 2)
			one.enter(func() {})
			synctest.Wait()
		}
		if spare, _ := state(); spare < 1 || spare > 6 {
			t.Errorf("%d goroutines wait after a time with a call now and then", spare)
		}
		time.Sleep(2 * spareTime)
		synctest.Wait()
		if spare, _ := state(); spare != 0 {
			t.Errorf("%d goroutines wait after a time without calls", spare)
		}
		all.close()
		done := make(chan struct{})
		one.enter(func() { close(done) })
		<-done // and no goroutine is left, or synctest says so
	})
}

// A limit that is raised lets in what waits already, also when nothing new comes; one
// that is lowered lets nobody in until few enough are left.
func TestGateObeysItsLimitLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newGates(&Engine{opts: Options{Settings: quick(t)}})
		defer all.close()
		one, _ := all.of("/shop.v1.Stock/Take")
		set := func(limit string) {
			settings := quick(t, config.Entry{Name: "txn.participant.concurrency", Value: limit})
			one.mu.Lock()
			defer one.mu.Unlock()
			one.limit = config.Watch(settings, settingConcurrency, config.Scope{})
		}
		release := make(chan struct{})
		runs := func(when string, want int) {
			t.Helper()
			synctest.Wait()
			one.mu.Lock()
			defer one.mu.Unlock()
			if one.running != want {
				t.Errorf("%s: %d calls run, want %d", when, one.running, want)
			}
		}
		set("1")
		for range 20 {
			one.enter(func() { <-release })
		}
		runs("at first", 1)
		set("8")
		release <- struct{}{}
		runs("when eight may", 8)
		set("2")
		for range 6 {
			release <- struct{}{}
		}
		runs("when two may", 2)
		close(release)
		runs("at the end", 0)
	})
}
