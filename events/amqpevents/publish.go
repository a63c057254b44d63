package amqpevents

import (
	"context"
	"fmt"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/gowarren/warren/events/driver"
)

// The headers of a message besides the event's own.
const (
	headerKey  = "warren-key"
	headerTime = "warren-time" // microseconds since 1970; AMQP's timestamp has seconds
)

// Publish sends all messages before it waits for the first confirmation.
func (b *broker) Publish(ctx context.Context, batch []driver.Message) []error {
	errs := make([]error, len(batch))
	b.publishing.Lock()
	defer b.publishing.Unlock()
	channel, err := b.channel()
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	// A broker that is short of memory stops reading, and a write would hang: then
	// the connection has to go.
	release := context.AfterFunc(ctx, func() { _ = b.confirmsOf.CloseDeadline(time.Now().Add(100 * time.Millisecond)) })
	defer release()
	confirmations := make([]*amqp.DeferredConfirmation, len(batch))
	for i, m := range batch {
		if size := len(m.Payload); size > b.maxSize {
			errs[i] = fmt.Errorf("%w: it has %d bytes, and %d are the most", driver.ErrRefused, size, b.maxSize)
			continue
		}
		key := m.Topic + "." + strconv.Itoa(driver.Partition(m, b.lanes))
		confirmations[i], errs[i] = channel.PublishWithDeferredConfirm(b.exchange, key, false, false, encode(m))
	}
	for i, c := range confirmations {
		if c == nil || errs[i] != nil {
			continue
		}
		taken, err := c.WaitContext(ctx)
		switch {
		case err != nil:
			errs[i] = fmt.Errorf("wait for the broker's confirmation: %w", err)
		case !taken:
			errs[i] = fmt.Errorf("the broker did not take the message: %w", errAway)
		}
	}
	return errs
}

// channel returns the channel for publishing, a new one after the last was lost.
// The caller holds publishing.
func (b *broker) channel() (*amqp.Channel, error) {
	conn, err := b.out.current()
	if err != nil {
		return nil, err
	}
	if b.confirms != nil && b.confirmsOf == conn && !b.confirms.IsClosed() {
		return b.confirms, nil
	}
	channel, err := conn.Channel()
	if err != nil {
		return nil, err
	}
	if err := channel.Confirm(false); err != nil {
		return nil, err
	}
	b.confirms, b.confirmsOf = channel, conn
	return channel, nil
}

func encode(m driver.Message) amqp.Publishing {
	headers := amqp.Table{headerTime: m.Published.UnixMicro(), headerKey: m.Key}
	for name, value := range m.Headers {
		headers[name] = value
	}
	return amqp.Publishing{
		MessageId: m.ID, Headers: headers, DeliveryMode: amqp.Persistent, Type: m.Topic, Timestamp: m.Published,
		ContentType: "application/protobuf", Body: m.Payload,
	}
}

// decode reads a message, as well as it can where another publisher wrote it.
func decode(d amqp.Delivery, topic string) driver.Message {
	m := driver.Message{ID: d.MessageId, Topic: topic, Payload: d.Body, Published: d.Timestamp, Headers: map[string]string{}}
	for name, value := range d.Headers {
		text, isText := value.(string)
		micros, isNumber := value.(int64)
		switch {
		case name == headerKey && isText:
			m.Key = text
		case name == headerTime && isNumber:
			m.Published = time.UnixMicro(micros)
		case isText:
			m.Headers[name] = text
		}
	}
	if m.Published.IsZero() {
		m.Published = time.Now()
	}
	return m
}
