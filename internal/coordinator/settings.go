package coordinator

import (
	"math/rand/v2"
	"time"

	"github.com/gowarren/warren/config"
)

// Every number is one of these settings, live. Those of calls can be set for one
// contract, or one method.
var (
	settingCallTimeout = config.Duration("txn.call_timeout", 10*time.Second, time.Millisecond, time.Hour,
		"How long the call of a branch may take, before it is made again.")
	settingAttempts = config.Int("txn.attempts", 40, 1, 100000,
		"How often a branch is called without success, before a saga is turned back or, where it cannot be, the transaction is parked.")
	settingFailures = config.Int("txn.failures", 5, 1, 100000,
		"How often a branch that must succeed (to compensate, confirm, cancel, or after the pivot) may say that it failed, before the transaction is parked.")
	settingBackoff = config.Duration("txn.backoff.base", 200*time.Millisecond, time.Millisecond, time.Hour,
		"The longest pause before the second call; it doubles with each further one. Any part of it is waited, by chance.")
	settingBackoffMax = config.Duration("txn.backoff.max", time.Minute, time.Millisecond, 24*time.Hour,
		"Where the doubling of the pause ends.")
	settingOngoing = config.Duration("txn.ongoing", 5*time.Second, time.Millisecond, time.Hour,
		"When a branch that is still at work is asked again, if it does not say itself.")
	settingConcurrency = config.Int("txn.participant.concurrency", 128, 1, 100000,
		"How many calls one contract gets at once. Others wait; those of other contracts do not.")

	settingPrepareTimeout = config.Duration("txn.prepare_timeout", 30*time.Second, 10*time.Millisecond, 24*time.Hour,
		"How long a transaction may stay open, before it is aborted or, of a saga, its local transaction is asked about.")
	settingLockTimeout = config.Duration("txn.lock_timeout", 30*time.Second, time.Millisecond, 24*time.Hour,
		"How long a transaction waits for its locks.")
	settingLockPoll = config.Duration("txn.lock_poll", 250*time.Millisecond, 5*time.Millisecond, time.Minute,
		"How often a transaction that waits looks whether another coordinator has released what it waits for.")
	settingActive = config.Int("txn.active_max", 50000, 1, 10000000,
		"How many unfinished transactions a coordinator works on. Further ones are refused.")
	settingBatch = config.Int("txn.batch", 256, 1, 2000,
		"How many steps of transactions are written in one commit.")

	settingBeat = config.Duration("txn.beat", 250*time.Millisecond, 10*time.Millisecond, 10*time.Second,
		"How often a coordinator says that it lives, and looks after the others.")
	settingDead = config.Duration("txn.dead_after", time.Second, 50*time.Millisecond, time.Minute,
		"How long a coordinator's beat may stand still, before its transactions are taken over. At least four beats.")
	settingScan = config.Duration("txn.scan", 5*time.Second, 50*time.Millisecond, time.Hour,
		"How often the database is searched for transactions that fell through every other net.")
	settingAudit = config.Duration("txn.audit", time.Minute, 10*time.Millisecond, 24*time.Hour,
		"How often those who take part in two-phase commits are asked for what is prepared and has nobody who decides it.")
	settingKeep = config.Duration("txn.keep", 7*24*time.Hour, time.Minute, 365*24*time.Hour,
		"How long transactions are kept after their end. Participants must remember them for longer.")
)

// Definitions returns all settings of this package, so that the coordinator can
// publish them and their values can be checked before they are in force.
func Definitions() []config.Definition {
	return []config.Definition{
		settingCallTimeout.Definition(), settingAttempts.Definition(), settingFailures.Definition(), settingBackoff.Definition(),
		settingBackoffMax.Definition(), settingOngoing.Definition(), settingConcurrency.Definition(), settingPrepareTimeout.Definition(),
		settingLockTimeout.Definition(), settingLockPoll.Definition(), settingActive.Definition(), settingBatch.Definition(),
		settingBeat.Definition(), settingDead.Definition(), settingScan.Definition(), settingAudit.Definition(), settingKeep.Definition(),
	}
}

// limits are the settings that hold for the coordinator as a whole.
type limits struct {
	prepareTimeout, lockTimeout, lockPoll *config.Value[time.Duration]
	active, batch                         *config.Value[int]
	beat, dead, scan, audit, keep         *config.Value[time.Duration]
}

func watchLimits(s *config.Settings) limits {
	all := config.Scope{}
	// Those of calls are watched by method, when there are some; that they exist is
	// told now, so that they can be set before the first transaction.
	watchCalls(s, all)
	config.Watch(s, settingConcurrency, all)
	return limits{
		prepareTimeout: config.Watch(s, settingPrepareTimeout, all),
		lockTimeout:    config.Watch(s, settingLockTimeout, all), lockPoll: config.Watch(s, settingLockPoll, all),
		active: config.Watch(s, settingActive, all), batch: config.Watch(s, settingBatch, all),
		beat: config.Watch(s, settingBeat, all), dead: config.Watch(s, settingDead, all),
		scan: config.Watch(s, settingScan, all), audit: config.Watch(s, settingAudit, all), keep: config.Watch(s, settingKeep, all),
	}
}

// deadAfter is when a beat that stands still means death.
func (l limits) deadAfter() time.Duration { return max(l.dead.Get(), 4*l.beat.Get()) }

// callPolicy is how the calls of one method are made.
type callPolicy struct {
	timeout, backoff, backoffMax, ongoing *config.Value[time.Duration]
	attempts, failures                    *config.Value[int]
}

func watchCalls(s *config.Settings, scope config.Scope) callPolicy {
	return callPolicy{
		timeout: config.Watch(s, settingCallTimeout, scope), ongoing: config.Watch(s, settingOngoing, scope),
		backoff: config.Watch(s, settingBackoff, scope), backoffMax: config.Watch(s, settingBackoffMax, scope),
		attempts: config.Watch(s, settingAttempts, scope), failures: config.Watch(s, settingFailures, scope),
	}
}

// jitter draws a pause after so many attempts: anything up to a bound that
// doubles, so that calls that failed together do not come back together.
func jitter(base, most time.Duration, attempts int) time.Duration {
	bound := base
	for i := 1; i < attempts && bound < most; i++ {
		bound *= 2
	}
	return time.Millisecond + rand.N(min(bound, most)+1)
}
