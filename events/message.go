package events

import (
	"context"
	"time"
)

// Message is what came with an event besides the event itself.
type Message struct {
	// ID is the same in every repetition of the event.
	ID string
	// Topic is the full name of the event's type.
	Topic string
	Key   string
	// Group is the one that handles it.
	Group string
	// Attempt counts from 1.
	Attempt   int
	Published time.Time
	// Headers of the publisher: "source" is the service.
	Headers map[string]string
}

type messageKey struct{}

// FromContext returns the message that a handler is called for.
func FromContext(ctx context.Context) (Message, bool) {
	m, ok := ctx.Value(messageKey{}).(Message)
	return m, ok
}
