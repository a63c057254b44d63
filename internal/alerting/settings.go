package alerting

import (
	"time"

	"github.com/gowarren/warren/config"
)

var settingPeriod = config.Duration("alerts.slo.period", 0, 0, 365*24*time.Hour,
	"The period of the objectives that name none; 0 is what the file of alerts says, else 30 days. A period of an hour lets an alert be seen within a minute.")

// Definitions are the settings of alerts.
func Definitions() []config.Definition { return []config.Definition{settingPeriod.Definition()} }

// WatchPeriod returns the period in force whenever it is called.
func WatchPeriod(s *config.Settings) func() time.Duration {
	return config.Watch(s, settingPeriod, config.Scope{}).Get
}
