package main

import (
	"time"

	"github.com/gowarren/warren/config"
)

var (
	settingKeep = config.Duration("inventory.reservation.keep", time.Hour, time.Second, maxKeep,
		"how long a reservation holds that doesn't say so itself, unless it is confirmed")
	settingExpiryPeriod = config.Duration("inventory.reservation.expiry_period", time.Second, 10*time.Millisecond, time.Hour,
		"how often reservations are looked for that nobody has confirmed in time")
	settingTellPeriod = config.Duration("inventory.stock_changed.period", time.Second, 10*time.Millisecond, time.Hour,
		"how often others are told of stock that has changed; of all changes between, only the last is told")
	settingOversoldPeriod = config.Duration("inventory.oversold.period", 10*time.Second, 10*time.Millisecond, time.Hour,
		"how often is looked whether more was promised of a product than there is")
	settingSeed = config.Bool("inventory.seed", true,
		"whether the products that the catalogue has when the service begins are given a first stock")
)

// settings are the values in force.
type settings struct {
	keep, expiryPeriod, tellPeriod, oversoldPeriod *config.Value[time.Duration]
	seed                                           *config.Value[bool]
}

func watchSettings(from *config.Settings) *settings {
	all := config.Scope{}
	return &settings{
		keep:           config.Watch(from, settingKeep, all),
		expiryPeriod:   config.Watch(from, settingExpiryPeriod, all),
		tellPeriod:     config.Watch(from, settingTellPeriod, all),
		oversoldPeriod: config.Watch(from, settingOversoldPeriod, all),
		seed:           config.Watch(from, settingSeed, all),
	}
}
