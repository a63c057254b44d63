package natsevents

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/gowarren/warren/events/driver"
)

// The headers of a message besides the event's own.
const (
	headerID   = nats.MsgIdHdr
	headerKey  = "warren-key"
	headerTime = "warren-time" // microseconds since 1970
)

// Publish sends all messages before it waits for the first answer.
func (n *broker) Publish(ctx context.Context, batch []driver.Message) []error {
	errs := make([]error, len(batch))
	if _, err := n.ready(ctx); err != nil {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	answers := make([]jetstream.PubAckFuture, len(batch))
	for i, m := range batch {
		if errs[i] = ctx.Err(); errs[i] == nil { // sending waits where too many are under way
			answers[i], errs[i] = n.js.PublishMsgAsync(n.encode(m), jetstream.WithStallWait(5*time.Second))
		}
	}
	unanswered := false
	for i, answer := range answers {
		if answer != nil {
			select {
			case <-answer.Ok():
			case errs[i] = <-answer.Err():
			case <-ctx.Done():
				errs[i] = fmt.Errorf("wait for the broker's answer: %w", context.Cause(ctx))
				unanswered = true
			}
		}
		errs[i] = n.explain(errs[i])
	}
	if unanswered {
		// The client would wait for them for ever, and sends no more than so many
		// without an answer. Others that publish now do so again.
		n.js.CleanupPublisher()
	}
	return errs
}

// tooLarge is JetStream's code for a message beyond the stream's bound.
const tooLarge = 10054

func (n *broker) explain(err error) error {
	api, coded := errors.AsType[*jetstream.APIError](err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrMaxPayload), errors.Is(err, nats.ErrBadSubject), coded && api.ErrorCode == tooLarge:
		return fmt.Errorf("%w: %w", driver.ErrRefused, err)
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, jetstream.ErrStreamNotFound):
		n.forget()
	}
	return err
}

func (n *broker) encode(m driver.Message) *nats.Msg {
	msg := nats.NewMsg(n.subject(m.Topic, strconv.Itoa(driver.Partition(m, n.lanes))))
	for name, value := range m.Headers {
		msg.Header[name] = []string{escape(value)}
	}
	msg.Header[headerID] = []string{m.ID}
	msg.Header[headerTime] = []string{strconv.FormatInt(m.Published.UnixMicro(), 10)}
	if m.Key != "" {
		msg.Header[headerKey] = []string{escape(m.Key)}
	}
	msg.Data = m.Payload
	return msg
}

// decode reads a message. What another publisher left out is made up as well as it
// can be: the stream's own number is unique.
func (n *broker) decode(msg jetstream.Msg, topic string) driver.Message {
	m := driver.Message{Topic: topic, Payload: msg.Data(), Headers: map[string]string{}}
	for name, values := range msg.Headers() {
		value := unescape(values[0])
		switch name {
		case headerID:
			m.ID = value
		case headerKey:
			m.Key = value
		case headerTime:
			if micros, err := strconv.ParseInt(value, 10, 64); err == nil {
				m.Published = time.UnixMicro(micros)
			}
		default:
			m.Headers[name] = value
		}
	}
	if meta, err := msg.Metadata(); err == nil {
		if m.ID == "" || len(m.ID) > 64 {
			m.ID = fmt.Sprintf("%s:%d", n.system, meta.Sequence.Stream)
		}
		if m.Published.IsZero() {
			m.Published = meta.Timestamp
		}
	}
	return m
}

// escape writes values that a header line can't hold as they are.
func escape(value string) string {
	plain := !strings.HasPrefix(value, " ") && !strings.HasSuffix(value, " ")
	for _, c := range []byte(value) {
		plain = plain && c >= ' ' && c < 0x7f && c != '%'
	}
	if plain {
		return value
	}
	return url.PathEscape(value)
}

func unescape(value string) string {
	if plain, err := url.PathUnescape(value); err == nil {
		return plain
	}
	return value
}
