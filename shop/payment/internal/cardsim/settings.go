package cardsim

import (
	"time"

	"github.com/gowarren/warren/config"
)

var (
	settingSlowness = config.Duration("payment.simulator.slowness", 0, 0, time.Minute, "how long the simulated card provider takes for each charge")
	settingDeclines = config.Float("payment.simulator.declines", 0, 0, 1, "which part of all charges the simulated card provider declines")
	settingUnknown  = config.Float("payment.simulator.unknown", 0, 0, 1,
		"which part of all charges the simulated card provider makes without the merchant hearing of it")
	settingDuplicates = config.Float("payment.simulator.duplicates", 0, 0, 1, "which part of all charges the simulated card provider reports twice")
	settingDelay      = config.Duration("payment.simulator.delay", 2*time.Second, 0, time.Hour, "how long the late cards of the simulated provider take")
)

// settings are the values in force.
type settings struct {
	slowness, delay               *config.Value[time.Duration]
	declines, unknown, duplicates *config.Value[float64]
}

func watchSettings(from *config.Settings) *settings {
	all := config.Scope{}
	return &settings{
		slowness:   config.Watch(from, settingSlowness, all),
		delay:      config.Watch(from, settingDelay, all),
		declines:   config.Watch(from, settingDeclines, all),
		unknown:    config.Watch(from, settingUnknown, all),
		duplicates: config.Watch(from, settingDuplicates, all),
	}
}
