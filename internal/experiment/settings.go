package experiment

import (
	"time"

	"github.com/gowarren/warren/config"
)

var (
	settingDuration = config.Duration("experiment.duration", 5*time.Minute, time.Second, 24*time.Hour,
		"How long an experiment lasts that does not say.")
	settingDurationMax = config.Duration("experiment.duration.max", time.Hour, time.Second, 24*time.Hour,
		"How long an experiment may last at most.")
	settingRunning = config.Int("experiment.running", 10, 0, 1000,
		"How many experiments may run at once; 0 allows none.")
)

// Definitions are the settings of experiments.
func Definitions() []config.Definition {
	return []config.Definition{settingDuration.Definition(), settingDurationMax.Definition(), settingRunning.Definition()}
}
