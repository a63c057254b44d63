package events

import (
	"time"

	"github.com/gowarren/warren/config"
)

// Every number is one of these settings, live. Those of handling an event can be
// set for one type: its full name is the scope.
var (
	settingAttempts = config.Int("events.attempts", 10, 1, 10000,
		"How often a handler is tried before the event becomes a dead letter.")
	settingBackoff = config.Duration("events.backoff", 500*time.Millisecond, time.Millisecond, time.Hour,
		"The pause before the second attempt; it doubles with each further one. Between a half and all of it is waited.")
	settingBackoffMax = config.Duration("events.backoff_max", 5*time.Minute, time.Millisecond, 24*time.Hour,
		"Where the doubling of the pause ends.")
	settingConcurrency = config.Int("events.concurrency", 8, 1, 1000,
		"How many events of a type an instance handles at once. Obeyed when the subscription begins.")

	settingBatch = config.Int("events.relay.batch", 256, 1, 10000,
		"How many events the relay reads, publishes and notes together.")
	settingPoll = config.Duration("events.relay.poll", 2*time.Second, 10*time.Millisecond, time.Minute,
		"How often the relay, and what waits to be tried again, is looked at although nothing woke it.")
	settingTimeout = config.Duration("events.relay.timeout", 10*time.Second, 100*time.Millisecond, time.Minute,
		"How long the broker may take to accept a batch, before it is tried again.")

	settingOutboxKeep = config.Duration("events.outbox.keep", time.Hour, time.Second, 30*24*time.Hour,
		"How long events stay in the outbox after they were sent.")
	settingInboxKeep = config.Duration("events.inbox.keep", 96*time.Hour, time.Minute, 365*24*time.Hour,
		"How long the ids of handled events are remembered, so that repetitions are dropped.")
	settingLettersKeep = config.Duration("events.letters.keep", 30*24*time.Hour, time.Hour, 10*365*24*time.Hour,
		"How long dead letters stay after they were replayed or dropped. Others stay for ever.")
)

// Definitions returns all settings of this package, so that a service can
// publish them and their values can be checked before they are in force.
func Definitions() []config.Definition {
	return []config.Definition{
		settingAttempts.Definition(), settingBackoff.Definition(), settingBackoffMax.Definition(), settingConcurrency.Definition(),
		settingBatch.Definition(), settingPoll.Definition(), settingTimeout.Definition(),
		settingOutboxKeep.Definition(), settingInboxKeep.Definition(), settingLettersKeep.Definition(),
	}
}

// limits are the settings that hold for all types.
type limits struct {
	batch                              *config.Value[int]
	poll, timeout                      *config.Value[time.Duration]
	outboxKeep, inboxKeep, lettersKeep *config.Value[time.Duration]
}

func watchLimits(s *config.Settings) limits {
	all := config.Scope{}
	return limits{
		batch: config.Watch(s, settingBatch, all), poll: config.Watch(s, settingPoll, all), timeout: config.Watch(s, settingTimeout, all),
		outboxKeep: config.Watch(s, settingOutboxKeep, all), inboxKeep: config.Watch(s, settingInboxKeep, all),
		lettersKeep: config.Watch(s, settingLettersKeep, all),
	}
}

// policy is how the events of one type are tried.
type policy struct {
	attempts            *config.Value[int]
	backoff, backoffMax *config.Value[time.Duration]
	concurrency         *config.Value[int]
}

func watchPolicy(s *config.Settings, topic string) policy {
	scope := config.Scope{Service: topic}
	return policy{
		attempts: config.Watch(s, settingAttempts, scope),
		backoff:  config.Watch(s, settingBackoff, scope), backoffMax: config.Watch(s, settingBackoffMax, scope),
		concurrency: config.Watch(s, settingConcurrency, scope),
	}
}

// pause is how long to wait after so many attempts.
func (p policy) pause(attempts int) time.Duration {
	pause, most := p.backoff.Get(), p.backoffMax.Get()
	for i := 1; i < attempts && pause < most; i++ {
		pause *= 2
	}
	return jitter(min(pause, most))
}
