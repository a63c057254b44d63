// Package driver is what a message broker must offer to carry events. Users
// import package events; only authors of drivers import this one, and run
// eventstest on what they wrote.
package driver

import (
	"context"
	"errors"
	"hash/fnv"
	"time"
)

// Driver moves messages from those who publish to the groups that subscribe, at
// least once. Retries, delays, dead letters and the dropping of duplicates are
// not its business: the portable events.Bus does them, in SQL.
//
// Its methods may be called concurrently. A lost broker is found again by the
// driver itself, for ever.
type Driver interface {
	// Publish hands the batch over, pipelined, and returns one error per
	// message: nil once the broker has it. An error that is [ErrRefused] says
	// that this message will never be taken. Messages that are accepted and have
	// the same topic and key keep the order of the batch.
	Publish(ctx context.Context, batch []Message) []error

	// Subscribe calls handle for the group's messages until ctx ends or it knows
	// that it doesn't see them any more; then it waits for the calls of handle
	// that run and returns the reason. It makes what it subscribes to when that
	// is missing.
	//
	// A message is done when handle returns nil, and comes again, to whichever
	// member of the group, when it returns an error or the process dies. While
	// handle runs, however long, no other member gets the message. Where the
	// subscription is ordered, the next message with the key comes when the one
	// before it is done, over all members of the group.
	Subscribe(ctx context.Context, s Subscription, handle func(Message) error) error

	// Incarnation names the life of the broker that Publish reaches now: a
	// broker that was started again has another. It is empty while none is
	// reached.
	Incarnation() string

	// Lag counts the messages that the group has not handled yet.
	Lag(ctx context.Context, topic, group string) (int64, error)

	// Capabilities tells what this broker can do.
	Capabilities() Capabilities

	// Close ends the connections. Subscriptions were ended before.
	Close() error
}

// Message is one event on its way.
type Message struct {
	// ID is unique, and the same in every repetition.
	ID string
	// Topic is the full name of the message type.
	Topic string
	// Key orders the messages of a topic; those without a key have no order.
	Key string
	// Published is when the event took place.
	Published time.Time
	// Headers travel along. Their names are lower-case letters and dashes.
	Headers map[string]string
	Payload []byte
}

// Subscription says which messages are wanted, and how.
type Subscription struct {
	Topic string
	// Group is who shares the messages: each goes to one member.
	Group string
	// Ordered: messages with the same key are handled one after the other.
	Ordered bool
	// Concurrency is how many messages this member handles at once; an ordered
	// subscription may have its own bound.
	Concurrency int
}

// Capabilities are what brokers differ in.
type Capabilities struct {
	// System names the broker in metrics and spans, as OpenTelemetry does.
	System string
	// OrderedBatch: when a message of a batch is not accepted, none after it
	// with the same key is. Without, a batch holds each key once.
	OrderedBatch bool
	// Unsynced is how long an accepted message may be lost when the broker's
	// machine dies.
	Unsynced time.Duration
	// Replay is the age up to which a message may come again.
	Replay time.Duration
	// FromStart: a new group gets what was published before it, too.
	FromStart bool
	// MaxSize bounds a message's payload and headers; 0 is unknown.
	MaxSize int
}

// ErrRefused says that the broker will never take a message: it is too large,
// or its topic cannot be.
var ErrRefused = errors.New("message is refused")

// Partition chooses one of n lanes for a message: by its key, or by its id where
// it has none. Publishers of a topic have to agree, in all versions and for ever.
func Partition(m Message, n int) int {
	h := fnv.New32a()
	if m.Key != "" {
		_, _ = h.Write([]byte(m.Key))
	} else {
		_, _ = h.Write([]byte(m.ID))
	}
	return int(h.Sum32() % uint32(n))
}
