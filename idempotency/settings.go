package idempotency

import (
	"time"

	"github.com/gowarren/warren/config"
)

var (
	settingKeep = config.Duration("idempotency.keep", 24*time.Hour, time.Minute, 365*24*time.Hour,
		"How long the answer to an idempotency key is kept. Afterwards the key is new.")
	settingLease = config.Duration("idempotency.lease", 30*time.Second, 100*time.Millisecond, time.Hour,
		"How long a call without a deadline, or with a later one, holds its idempotency key if its process dies.")
)

// Definitions returns all settings of this package, so that a service can
// publish them and their values can be checked before they are in force.
func Definitions() []config.Definition {
	return []config.Definition{settingKeep.Definition(), settingLease.Definition()}
}
