package registry

import (
	"time"

	"github.com/gowarren/warren/config"
)

// When the registry is doubted instead of the instances that it lost.
var (
	settingPanicThreshold = config.Float("registry.panic.threshold", 0.5, 0.01, 1,
		"The share of ready instances that may expire within the window; when more do, the registry is doubted and they are kept. 1 never doubts it.")
	settingPanicWindow = config.Duration("registry.panic.window", 10*time.Second, 10*time.Millisecond, time.Hour,
		"Over which time instances that expire are counted.")
	settingPanicHold = config.Duration("registry.panic.hold", time.Minute, 0, 24*time.Hour,
		"How long instances are kept that vanished with most others.")
)

// Definitions returns all settings of this package, so that a service can
// publish them and their values can be checked before they are in force.
func Definitions() []config.Definition {
	return []config.Definition{
		settingPanicThreshold.Definition(), settingPanicWindow.Definition(), settingPanicHold.Definition(),
	}
}

// panicPolicy is what the settings say of that moment.
type panicPolicy struct {
	threshold    *config.Value[float64]
	window, hold *config.Value[time.Duration]
}

func newPanicPolicy(o Options) panicPolicy {
	var scope config.Scope
	return panicPolicy{
		threshold: config.Watch(o.Settings, settingPanicThreshold, scope, stated(o.PanicThreshold)...),
		window:    config.Watch(o.Settings, settingPanicWindow, scope, stated(o.PanicWindow)...),
		hold:      config.Watch(o.Settings, settingPanicHold, scope, stated(o.Hold)...),
	}
}

// stated is a value of the options, unless it is to be the default.
func stated[T comparable](v T) []T {
	var none T
	if v == none {
		return nil
	}
	return []T{v}
}

// onChange calls f when a set may have to be believed differently: what is held
// may be held for longer or shorter from now on.
func (p panicPolicy) onChange(f func()) (stop func()) {
	return p.hold.OnChange(func(time.Duration) { f() })
}
