package main

import (
	"time"

	"github.com/gowarren/warren/config"
)

var (
	settingCurrencies = config.String("payment.currencies", "GBP EUR USD",
		"the currencies in which cards are charged, with spaces between; the first is that of an empty wallet")
	settingMost     = config.Int("payment.top_up.most", 10_000_000, 1, maxAmount, "the most that one top-up takes from a card, in minor units")
	settingPatience = config.Duration("payment.top_up.patience", 10*time.Second, 100*time.Millisecond, time.Minute,
		"how long the card provider may take to answer before the outcome counts as unknown")
	settingFirstPause = config.Duration("payment.top_up.pause", 500*time.Millisecond, time.Millisecond, time.Minute,
		"after which time the card provider is asked for an unknown outcome; it doubles with each time")
	settingMostPause = config.Duration("payment.top_up.pause_max", time.Minute, time.Millisecond, time.Hour,
		"the most time between two questions for an unknown outcome")
)

// settings are the values in force.
type settings struct {
	currencies                      *config.Value[string]
	most                            *config.Value[int]
	patience, firstPause, mostPause *config.Value[time.Duration]
}

func watchSettings(from *config.Settings) *settings {
	all := config.Scope{}
	return &settings{
		currencies: config.Watch(from, settingCurrencies, all),
		most:       config.Watch(from, settingMost, all),
		patience:   config.Watch(from, settingPatience, all),
		firstPause: config.Watch(from, settingFirstPause, all),
		mostPause:  config.Watch(from, settingMostPause, all),
	}
}
