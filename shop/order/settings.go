package main

import (
	"time"

	"github.com/gowarren/warren/config"
)

var (
	settingLook = config.Duration("order.watch.look", time.Second, 10*time.Millisecond, time.Minute,
		"how often a watched order is read, in case that another instance changed it")
	settingLongest = config.Duration("order.watch.longest", 15*time.Minute, 10*time.Millisecond, 24*time.Hour,
		"how long an order is watched at most; who wants to know more watches again")
	settingWatches = config.Int("order.watch.per_customer", 10, 1, 10_000,
		"how many orders a customer may watch at once, of one instance")
	settingAgain = config.Duration("order.early.pause", 500*time.Millisecond, 10*time.Millisecond, time.Minute,
		"after how long news of a shipment are looked at again that an order is not ready for")
	settingSweepAfter = config.Duration("order.sweep.after", time.Minute, 10*time.Millisecond, 24*time.Hour,
		"how long an order may be placed, and nothing more, before its checkout is asked for: if that failed without it, the order is rejected")
	settingSweepPeriod = config.Duration("order.sweep.period", 30*time.Second, 10*time.Millisecond, time.Hour,
		"how often such orders are looked for, a hundred at a time")
)

// settings are the values in force.
type settings struct {
	look, longest, again    *config.Value[time.Duration]
	sweepAfter, sweepPeriod *config.Value[time.Duration]
	watches                 *config.Value[int]
}

func watchSettings(from *config.Settings) *settings {
	all := config.Scope{}
	return &settings{
		look:    config.Watch(from, settingLook, all),
		longest: config.Watch(from, settingLongest, all),
		watches: config.Watch(from, settingWatches, all),
		again:   config.Watch(from, settingAgain, all),

		sweepAfter:  config.Watch(from, settingSweepAfter, all),
		sweepPeriod: config.Watch(from, settingSweepPeriod, all),
	}
}
