package profiling

import "github.com/gowarren/warren/config"

var settingKept = config.Int("profiles.kept", 50, 1, 1000,
	"How many profiles the supervisor keeps; the oldest go first.")

// Definitions returns the settings of this package.
func Definitions() []config.Definition {
	return []config.Definition{settingKept.Definition()}
}
