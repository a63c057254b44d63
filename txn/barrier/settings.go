package barrier

import (
	"time"

	"github.com/gowarren/warren/config"
)

var (
	settingKeep = config.Duration("txn.barrier.keep", 30*24*time.Hour, time.Hour, 10*365*24*time.Hour,
		"How long a participant remembers what it did for transactions. What is asked of it by an older transaction, and "+
			"might have been forgotten, it refuses, and the transaction is parked: let this be longer than transactions last, also parked ones.")
	settingOrphan = config.Duration("txn.barrier.orphan", 10*time.Minute, time.Second, 24*time.Hour,
		"After which time a prepared transaction that nobody has decided is reported.")
	settingAudit = config.Duration("txn.barrier.audit", time.Minute, 10*time.Millisecond, 24*time.Hour,
		"How often a participant looks for prepared transactions that nobody has decided, and deletes what it has remembered for long enough.")
)

// Definitions returns all settings of this package, so that a service can
// publish them and their values can be checked before they are in force.
func Definitions() []config.Definition {
	return []config.Definition{settingKeep.Definition(), settingOrphan.Definition(), settingAudit.Definition()}
}
