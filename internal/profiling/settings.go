package profiling

import (
	"time"

	"github.com/gowarren/warren/config"
)

var (
	settingKept = config.Int("profiles.kept", 50, 1, 1000,
		"How many profiles the supervisor keeps; the oldest go first.")
	settingBytes = config.Int("profiles.bytes", 256<<20, 1<<20, 1<<40,
		"How many bytes the profiles that are kept may have together; the oldest go first.")
	settingSize = config.Int("profiles.size", 3<<20, 1<<10, 3<<20,
		"How many bytes one profile may have; a larger one is not kept.")
	settingAtOnce = config.Int("profiles.at_once", 4, 1, 100,
		"How many profiles are recorded at once; further ones are refused.")
	settingDuration = config.Duration("profiles.duration", 5*time.Second, 100*time.Millisecond, mostDuration,
		"How long is recorded where nobody says.")
	settingDurationMax = config.Duration("profiles.duration.max", 30*time.Second, 100*time.Millisecond, mostDuration,
		"How long a profile may be recorded.")
	settingPatience = config.Duration("profiles.patience", 25*time.Second, time.Second, 25*time.Second,
		"How much longer than the recording a process may take to answer.")
)

// mostDuration is as long as processes record.
const mostDuration = 5 * time.Minute

// limits are the settings in force.
type limits struct {
	kept, bytes, size, atOnce *config.Value[int]
	duration, most, patience  *config.Value[time.Duration]
}

func watch(s *config.Settings) limits {
	all := config.Scope{}
	return limits{
		kept: config.Watch(s, settingKept, all), bytes: config.Watch(s, settingBytes, all), size: config.Watch(s, settingSize, all),
		atOnce: config.Watch(s, settingAtOnce, all), duration: config.Watch(s, settingDuration, all),
		most: config.Watch(s, settingDurationMax, all), patience: config.Watch(s, settingPatience, all),
	}
}

// Definitions returns the settings of this package.
func Definitions() []config.Definition {
	return []config.Definition{
		settingKept.Definition(), settingBytes.Definition(), settingSize.Definition(), settingAtOnce.Definition(),
		settingDuration.Definition(), settingDurationMax.Definition(), settingPatience.Definition(),
	}
}
