package main

import (
	"time"

	"github.com/gowarren/warren/config"
)

var (
	settingPace = config.Duration("shipping.carrier.pace", 5*time.Second, time.Millisecond, 30*24*time.Hour,
		"how long the simulated carrier takes for each step: from dispatched to handed over, in transit, delivered")
	settingPoll = config.Duration("shipping.carrier.poll", 250*time.Millisecond, 5*time.Millisecond, time.Hour,
		"how often shipments are looked for that are due for their next step")
	settingRefusals = config.Float("shipping.carrier.refusals", 0, 0, 1,
		"the share of shipments that the simulated carrier does not take: their orders are rejected")
	settingFailures = config.Float("shipping.carrier.failures", 0.02, 0, 1,
		"the share of steps that the simulated carrier tries in vain before it tries again")
	settingDown = config.Bool("shipping.carrier.down", false,
		"whether the simulated carrier does not answer: nothing is taken, and nothing moves")
)

// settings are the values in force.
type settings struct {
	pace, poll         *config.Value[time.Duration]
	refusals, failures *config.Value[float64]
	down               *config.Value[bool]
}

func watchSettings(from *config.Settings) *settings {
	all := config.Scope{}
	return &settings{
		pace:     config.Watch(from, settingPace, all),
		poll:     config.Watch(from, settingPoll, all),
		refusals: config.Watch(from, settingRefusals, all),
		failures: config.Watch(from, settingFailures, all),
		down:     config.Watch(from, settingDown, all),
	}
}
