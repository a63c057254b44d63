package main

import (
	"time"

	"github.com/gowarren/warren/config"
)

var (
	settingPatience = config.Duration("storefront.patience", 4*time.Second, 10*time.Millisecond, time.Minute,
		"How long a page waits for the gateway before it says that something is away.")
	settingGlance = config.Duration("storefront.glance", 800*time.Millisecond, time.Millisecond, 10*time.Second,
		"How long a page waits for what it can do without: stock, the number of things in the cart, news.")
	settingCalls = config.Int("storefront.calls", 8, 1, 100,
		"How many calls to the gateway one page makes at once: for stock, and for the products of the first page.")
	settingSessionKeep = config.Duration("storefront.session.keep", 30*24*time.Hour, time.Minute, 366*24*time.Hour,
		"How long a visitor is remembered who does not come back.")
	settingSecure = config.Bool("storefront.cookie.secure", false,
		"Whether browsers may send the cookie by https only: set it where the gateway is behind TLS.")
	settingBody = config.Int("storefront.body", 64<<10, 1<<10, 1<<20,
		"How many bytes a form may have.")
)

// settings are the values in force.
type settings struct {
	patience, glance, keep *config.Value[time.Duration]
	secure                 *config.Value[bool]
	body, calls            *config.Value[int]
}

func watchSettings(from *config.Settings) *settings {
	all := config.Scope{}
	return &settings{
		patience: config.Watch(from, settingPatience, all),
		glance:   config.Watch(from, settingGlance, all),
		keep:     config.Watch(from, settingSessionKeep, all),
		secure:   config.Watch(from, settingSecure, all),
		body:     config.Watch(from, settingBody, all),
		calls:    config.Watch(from, settingCalls, all),
	}
}
