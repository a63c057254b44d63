package events

import (
	"errors"
	"fmt"
	"time"
)

// Skip is returned by a handler to which the event means nothing: what it wrote
// is rolled back, and the event is done.
var Skip = errors.New("event is skipped")

// retryAfter and deadLetter are outcomes as errors, so that they can be wrapped.
type retryAfter struct{ pause time.Duration }

func (r *retryAfter) Error() string { return fmt.Sprintf("event is tried again after %v", r.pause) }

type deadLetter struct{ reason string }

func (d *deadLetter) Error() string { return d.reason }

// RetryAfter is returned by a handler that wants the event again after a time of
// its own choice. It doesn't count as an attempt, so it can wait for as long as
// something takes.
func RetryAfter(d time.Duration) error { return &retryAfter{d} }

// DeadLetter is returned by a handler for which trying again is pointless.
func DeadLetter(reason string) error { return &deadLetter{reason} }
