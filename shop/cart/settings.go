package main

import (
	"time"

	"github.com/gowarren/warren/config"
)

var (
	settingPatience = config.Duration("cart.prices.patience", 500*time.Millisecond, time.Millisecond, 10*time.Second,
		"how long a cart waits for the catalogue before it is shown without the prices that are missing")
	settingVisitorKeep = config.Duration("cart.visitor.keep", 30*24*time.Hour, time.Hour, 366*24*time.Hour,
		"how long a visitor's cart is kept that nobody changes")
)

// settings are the values in force.
type settings struct{ patience, visitorKeep *config.Value[time.Duration] }

func watchSettings(from *config.Settings) *settings {
	all := config.Scope{}
	return &settings{
		patience:    config.Watch(from, settingPatience, all),
		visitorKeep: config.Watch(from, settingVisitorKeep, all),
	}
}
