package rpc

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/rpc/internal/balance"
)

// policy is what the settings say of one method, ready to be obeyed.
type policy struct {
	timeout  time.Duration // of the whole call; 0: none
	wait     time.Duration
	attempts int
	backoff  time.Duration
	most     time.Duration // backoff's end
	hedge    time.Duration
	silence  time.Duration
	balancer balance.Kind
	breaker  breakerPolicy
}

// targetPolicy is what the settings say of one contract: of what its methods
// share.
type targetPolicy struct {
	budget, reserve float64
	zonePreferred   bool
	throttleK       float64
	throttleWindow  time.Duration
	outlier         outlierPolicy
}

// follower keeps a policy in line with the settings it is made of.
type follower struct {
	settings *config.Settings
	scope    config.Scope
	mu       sync.Mutex
	rebuild  func() // nil until every setting is watched
	after    func() // called after a change; may be nil
	stops    []func()
}

// watch adds a setting.
func watch[T any](f *follower, def config.Setting[T], contract ...T) *config.Value[T] {
	v := config.Watch(f.settings, def, f.scope, contract...)
	f.stops = append(f.stops, v.OnChange(func(T) { f.changed() }))
	return v
}

// changed makes the policy anew, as a whole: a call sees all numbers of before
// or all of after.
func (f *follower) changed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rebuild == nil {
		return
	}
	f.rebuild()
	if f.after != nil {
		f.after()
	}
}

func (f *follower) start(rebuild func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rebuild = rebuild
	rebuild()
}

func (f *follower) stop() {
	for _, stop := range f.stops {
		stop()
	}
}

// followMethod keeps the policy of a method. The contract's timeout is the
// lowest layer of the setting; streams have one of their own, so that a limit
// meant for calls can't cut them.
func followMethod(s *config.Settings, scope config.Scope, described *contract.Method, into *atomic.Pointer[policy]) *follower {
	f := &follower{settings: s, scope: scope}
	var stated []time.Duration
	if described != nil && described.Timeout > 0 {
		stated = []time.Duration{described.Timeout}
	}
	timeoutSetting := settingTimeout
	if described != nil && !described.Unary() {
		timeoutSetting = settingStreamTimeout
	}
	timeout := watch(f, timeoutSetting, stated...)
	wait, hedge, silence := watch(f, settingWait), watch(f, settingHedgeDelay), watch(f, settingSilence)
	attempts := watch(f, settingRetryAttempts)
	backoff, most := watch(f, settingRetryBackoff), watch(f, settingRetryBackoffMax)
	balancer := watch(f, settingBalancer)
	ratio, calls, window := watch(f, settingBreakerRatio), watch(f, settingBreakerCalls), watch(f, settingBreakerWindow)
	open, longest, probes := watch(f, settingBreakerOpen), watch(f, settingBreakerOpenMax), watch(f, settingBreakerProbes)
	f.start(func() {
		into.Store(&policy{
			timeout: timeout.Get(), wait: wait.Get(), hedge: hedge.Get(), silence: silence.Get(),
			attempts: attempts.Get(), backoff: backoff.Get(), most: most.Get(),
			balancer: balance.Kind(balancer.Get()),
			breaker: breakerPolicy{
				ratio: ratio.Get(), calls: uint(calls.Get()), window: window.Get(),
				open: open.Get(), most: longest.Get(), probes: uint(probes.Get()),
			},
		})
	})
	return f
}

// followTarget keeps the policy of a contract, and calls changed after each
// change.
func followTarget(s *config.Settings, contract string, into *atomic.Pointer[targetPolicy], changed func()) *follower {
	f := &follower{settings: s, scope: config.Scope{Service: contract}, after: changed}
	budget, reserve := watch(f, settingRetryBudget), watch(f, settingRetryReserve)
	zone := watch(f, settingZonePreferred)
	k, throttleWindow := watch(f, settingThrottleK), watch(f, settingThrottleWindow)
	failures, ratio := watch(f, settingOutlierFailures), watch(f, settingOutlierRatio)
	calls, window := watch(f, settingOutlierCalls), watch(f, settingOutlierWindow)
	ejection, most := watch(f, settingOutlierEjection), watch(f, settingOutlierEjectionMax)
	share := watch(f, settingOutlierShare)
	f.start(func() {
		into.Store(&targetPolicy{
			budget: budget.Get(), reserve: reserve.Get(), zonePreferred: zone.Get(),
			throttleK: k.Get(), throttleWindow: throttleWindow.Get(),
			outlier: outlierPolicy{
				failures: int64(failures.Get()), ratio: ratio.Get(), calls: int64(calls.Get()), window: window.Get(),
				ejection: ejection.Get(), most: most.Get(), share: share.Get(),
			},
		})
	})
	return f
}
