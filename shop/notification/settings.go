package main

import (
	"time"

	"github.com/gowarren/warren/config"
)

var (
	settingURL = config.Sensitive("notification.mail.url",
		"the mail server, as smtp://user:password@host:587, smtps://user:password@host:465 or file:/folder; empty: e-mails stay in the service's table inbox")
	settingFrom     = config.String("notification.mail.from", "The shop <shop@example.com>", "from whom e-mails are")
	settingAttempts = config.Int("notification.mail.attempts", 12, 1, 1000, "how often an e-mail is tried before it is parked")
	settingPause    = config.Duration("notification.mail.pause", 5*time.Second, time.Millisecond, time.Hour,
		"after which time an e-mail is tried again; it doubles with each time")
	settingLongest  = config.Duration("notification.mail.pause_max", time.Hour, time.Millisecond, 24*time.Hour, "the most time between two attempts")
	settingPatience = config.Duration("notification.mail.patience", 30*time.Second, 100*time.Millisecond, 10*time.Minute,
		"how long the mail server may take for one e-mail")
	settingKeep = config.Duration("notification.keep", 365*24*time.Hour, time.Hour, 10*366*24*time.Hour, "how long notifications and e-mails are kept")
)

// settings are the values in force.
type settings struct {
	url                            *config.Value[config.Secret]
	from                           *config.Value[string]
	attempts                       *config.Value[int]
	pause, longest, patience, keep *config.Value[time.Duration]
}

func watchSettings(from *config.Settings) *settings {
	all := config.Scope{}
	return &settings{
		url:      config.Watch(from, settingURL, all),
		from:     config.Watch(from, settingFrom, all),
		attempts: config.Watch(from, settingAttempts, all),
		pause:    config.Watch(from, settingPause, all),
		longest:  config.Watch(from, settingLongest, all),
		patience: config.Watch(from, settingPatience, all),
		keep:     config.Watch(from, settingKeep, all),
	}
}
