package rpc

import (
	"time"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/rpc/internal/balance"
)

// Every number of this package is one of these settings: live, with the
// contract's word as the lowest layer where a contract has one.

// What the client obeys, per method.
var (
	settingTimeout = config.Duration("rpc.timeout", 2*time.Second, time.Millisecond, time.Hour,
		"How long a unary call may take, retries included. The contract's timeout is the default; a caller's deadline that ends earlier wins.")
	settingStreamTimeout = config.Duration("rpc.stream.timeout", 0, 0, 24*time.Hour,
		"How long a stream may last; 0 is no limit.")
	settingWait = config.Duration("rpc.wait", 500*time.Millisecond, 0, time.Minute,
		"How long a call waits for an instance when none can be reached, before it is unavailable.")

	settingRetryAttempts = config.Int("rpc.retry.attempts", 3, 1, 10,
		"How often a call is tried that its contract calls idempotent; 1 is no retry.")
	settingRetryBackoff = config.Duration("rpc.retry.backoff", 25*time.Millisecond, 0, time.Minute,
		"The longest wait before the first retry; it doubles with each further one. The wait is drawn between zero and it.")
	settingRetryBackoffMax = config.Duration("rpc.retry.backoff_max", 250*time.Millisecond, 0, time.Minute,
		"Where the doubling of the backoff ends.")
	settingRetryBudget = config.Float("rpc.retry.budget", 0.1, 0, 1,
		"The share of the calls to a contract that may be retried or hedged.")
	settingRetryReserve = config.Float("rpc.retry.reserve", 10, 0, 1000,
		"How many calls per second may be retried or hedged beyond the share: the share of little is nothing.")
	settingHedgeDelay = config.Duration("rpc.hedge.delay", 0, 0, time.Minute,
		"After which time without an answer a call without side effects is sent to a second instance; 0 is never. "+
			"Also streams with one request that wait for their first message.")

	settingSilence = config.Duration("rpc.silence", 250*time.Millisecond, 0, time.Minute,
		"How long an instance may be silent while a call waits before it is asked for a sign of life; "+
			"if it gives none for as long again it is ejected, and idempotent calls are sent elsewhere, and streams that wait for their first message. "+
			"At most a quarter of the time that the call has left, and never for one that has less than 200ms; 0 is never.")

	settingBalancer = config.Enum("rpc.balancer", string(balance.P2C), balance.Kinds(),
		"How instances share calls: by power of two choices over latency and load, by weight in turns, to the fewest calls, or by the call's key.")
	settingZonePreferred = config.Bool("rpc.zone.preferred", true,
		"Whether instances of the caller's own zone are preferred while at least half of them can be reached.")

	settingBreakerRatio = config.Float("rpc.breaker.ratio", 0.5, 0.01, 1,
		"The share of failed calls at which the breaker between a method and an instance opens.")
	settingBreakerCalls = config.Int("rpc.breaker.calls", 20, 1, 10000,
		"How many calls of a window it takes to judge.")
	settingBreakerWindow = config.Duration("rpc.breaker.window", 10*time.Second, 10*time.Millisecond, time.Hour,
		"Over which time a breaker counts.")
	settingBreakerOpen = config.Duration("rpc.breaker.open", 500*time.Millisecond, time.Millisecond, time.Hour,
		"How long a breaker stays open at first before it lets calls try again; each time in a row that they fail it is twice as long.")
	settingBreakerOpenMax = config.Duration("rpc.breaker.open_max", 2*time.Second, time.Millisecond, time.Hour,
		"Where the doubling of that time ends; less than rpc.breaker.open is no doubling.")
	settingBreakerProbes = config.Int("rpc.breaker.probes", 3, 1, 1000,
		"How many calls must succeed before a breaker that tries again closes.")

	settingOutlierFailures = config.Int("rpc.outlier.failures", 5, 1, 10000,
		"After how many failures in a row an instance is ejected.")
	settingOutlierRatio = config.Float("rpc.outlier.ratio", 0.8, 0.01, 1,
		"The share of failed calls at which an instance is ejected.")
	settingOutlierCalls = config.Int("rpc.outlier.calls", 20, 1, 10000,
		"How many calls of a window it takes to judge the share.")
	settingOutlierWindow = config.Duration("rpc.outlier.window", 10*time.Second, 10*time.Millisecond, time.Hour,
		"Over which time an instance's failures are counted.")
	settingOutlierEjection = config.Duration("rpc.outlier.ejection", 5*time.Second, time.Millisecond, time.Hour,
		"How long an instance stays ejected; each time in a row it is this much longer.")
	settingOutlierEjectionMax = config.Duration("rpc.outlier.ejection_max", time.Minute, time.Millisecond, 24*time.Hour,
		"The longest ejection.")
	settingOutlierShare = config.Float("rpc.outlier.share", 0.5, 0, 0.5,
		"The largest share of a service's instances that may be ejected; 0 ejects none.")

	settingThrottleK = config.Float("rpc.throttle.k", 2, 1.01, 100,
		"How many times as many calls as are accepted are sent to an overloaded contract; the rest fails at the caller.")
	settingThrottleWindow = config.Duration("rpc.throttle.window", time.Minute, 100*time.Millisecond, time.Hour,
		"Over which time the throttle counts.")

	settingKeepalive = config.Duration("rpc.keepalive", 10*time.Second, 10*time.Second, time.Hour,
		"After which silence a connection is tested. Obeyed by new connections.")
)

// What the server obeys.
var (
	settingAdmissionMin = config.Int("rpc.admission.min", 8, 1, 100000,
		"The least calls that an instance handles at once, however slow it becomes.")
	settingAdmissionMax = config.Int("rpc.admission.max", 1000, 1, 1000000,
		"The most calls that an instance handles at once, however fast it is.")
	settingAdmissionInitial = config.Int("rpc.admission.initial", 64, 1, 100000,
		"How many calls an instance handles at once before it has learned how many it can.")
	settingAdmissionQueue = config.Int("rpc.admission.queue", 256, 0, 100000,
		"How many calls may wait for their turn on an instance: of low priority half of it, of normal priority four fifths.")
	settingAdmissionWait = config.Duration("rpc.admission.wait", 250*time.Millisecond, 0, time.Minute,
		"How long a call of low or normal priority waits for its turn before it is refused; one of high priority waits to its deadline.")
	settingStreamsMax = config.Int("rpc.streams.max", 10000, 1, 1000000,
		"How many streams an instance keeps open at once.")
	settingConcurrentMax = config.Int("rpc.connection.calls", 4096, 1, 1000000,
		"How many calls and streams one connection carries at once. Obeyed from the next start on.")
	settingHeaderMax = config.Int("rpc.header.max", 32<<10, 4<<10, 1<<20,
		"The largest list of metadata in bytes. Obeyed from the next start on.")
	settingDrainQuiet = config.Duration("rpc.drain.quiet", 500*time.Millisecond, 0, time.Minute,
		"After which time without a new call the callers of an instance that ends are taken to have moved on.")
	settingDrainTimeout = config.Duration("rpc.drain.timeout", 30*time.Second, 0, time.Hour,
		"How long an instance that ends waits for its callers to move on and its calls to finish.")
	settingMessageMax = config.Int("rpc.message.max", 4<<20, 1<<10, 1<<30,
		"The largest message in bytes. Obeyed from the next start on.")
)

// Definitions returns all settings of this package, so that a service can
// publish them and their values can be checked before they are in force.
func Definitions() []config.Definition {
	return []config.Definition{
		settingTimeout.Definition(), settingStreamTimeout.Definition(), settingWait.Definition(),
		settingRetryAttempts.Definition(), settingRetryBackoff.Definition(), settingRetryBackoffMax.Definition(),
		settingRetryBudget.Definition(), settingRetryReserve.Definition(), settingHedgeDelay.Definition(), settingSilence.Definition(),
		settingBalancer.Definition(), settingZonePreferred.Definition(),
		settingBreakerRatio.Definition(), settingBreakerCalls.Definition(), settingBreakerWindow.Definition(),
		settingBreakerOpen.Definition(), settingBreakerOpenMax.Definition(), settingBreakerProbes.Definition(),
		settingOutlierFailures.Definition(), settingOutlierRatio.Definition(), settingOutlierCalls.Definition(),
		settingOutlierWindow.Definition(), settingOutlierEjection.Definition(), settingOutlierEjectionMax.Definition(),
		settingOutlierShare.Definition(),
		settingThrottleK.Definition(), settingThrottleWindow.Definition(), settingKeepalive.Definition(),
		settingAdmissionMin.Definition(), settingAdmissionMax.Definition(), settingAdmissionInitial.Definition(),
		settingAdmissionQueue.Definition(), settingAdmissionWait.Definition(), settingStreamsMax.Definition(),
		settingConcurrentMax.Definition(), settingHeaderMax.Definition(), settingDrainQuiet.Definition(),
		settingDrainTimeout.Definition(), settingMessageMax.Definition(),
		settingFaultLatency.Definition(), settingFaultError.Definition(), settingFaultPartition.Definition(),
	}
}
