package main

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	notificationv1 "github.com/gowarren/warren/shop/api/shop/notification/v1"
)

// emailState is how far an e-mail has come: waiting until it is sent or parked;
// staff can have a parked one tried again.
type emailState string

const (
	waiting emailState = "waiting"
	sent    emailState = "sent"
	parked  emailState = "parked"
)

// email is a notification on its way to the user's mailbox.
type email struct {
	id, user string
	kind     notificationv1.Kind
	facts    facts
	state    emailState
	attempts int64
	problem  string // of the last attempt
	created  time.Time
	updated  time.Time
}

// outcome is what became of an attempt to send an e-mail.
type outcome struct {
	err   error
	final bool // no other attempt would do better
}

// after returns the e-mail after an attempt, and when the next one is due.
func (e email) after(o outcome, most int, first, longest time.Duration, now time.Time) (email, time.Time) {
	e.updated, e.problem = now.UTC().Truncate(time.Microsecond), ""
	switch {
	case o.err == nil:
		e.state = sent
	case o.final || e.attempts >= int64(most):
		e.state = parked
	}
	if o.err != nil {
		e.problem = shorten(o.err.Error(), 300)
	}
	return e, e.updated.Add(pause(e.attempts-1, first, longest))
}

// pause grows twofold with each attempt.
func pause(attempts int64, first, longest time.Duration) time.Duration {
	for range min(attempts, 30) {
		if first >= longest/2 {
			return longest
		}
		first *= 2
	}
	return min(first, longest)
}

// shorten cuts a text to at most so many characters.
func shorten(text string, most int) string {
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "?")
	n := 0
	for i := range text {
		if n == most {
			return text[:i]
		}
		n++
	}
	return text
}

func (e email) message() *notificationv1.Email {
	return &notificationv1.Email{
		EmailId: e.id, UserId: e.user, Kind: e.kind, State: stateMessage[e.state], Attempts: int32(min(e.attempts, 1<<30)),
		LastError: e.problem, CreateTime: timestamppb.New(e.created), UpdateTime: timestamppb.New(e.updated),
	}
}

var stateMessage = map[emailState]notificationv1.EmailState{
	waiting: notificationv1.EmailState_WAITING,
	sent:    notificationv1.EmailState_SENT,
	parked:  notificationv1.EmailState_PARKED,
}
