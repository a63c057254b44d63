package kafkaevents

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gowarren/warren/events/driver"
)

// The headers of a record besides the event's own; the key is the record's.
const (
	headerID   = "warren-id"
	headerTime = "warren-time" // microseconds since 1970; Kafka's timestamp has milliseconds
)

// Publish hands all records to the client, which sends them in batches, and waits
// for all of them.
func (b *broker) Publish(ctx context.Context, batch []driver.Message) []error {
	errs := make([]error, len(batch))
	records := make([]*kgo.Record, len(batch))
	for i, m := range batch {
		if size := len(m.Payload); size > b.maxSize {
			errs[i] = fmt.Errorf("%w: it has %d bytes, and %d are the most", driver.ErrRefused, size, b.maxSize)
		} else if errs[i] = b.ready(ctx, m.Topic); errs[i] == nil {
			records[i] = b.encode(m)
		}
	}
	answers := &answers{errs: errs}
	for i, record := range records {
		if record != nil {
			answers.await(i)
			b.client.TryProduce(ctx, record, func(_ *kgo.Record, err error) { answers.set(i, explain(err)) })
		}
	}
	errs = answers.all(ctx)
	for i, m := range batch {
		if errors.Is(errs[i], kerr.UnknownTopicOrPartition) || errors.Is(errs[i], kerr.UnknownTopicID) {
			// It was deleted, and the client would look for that one for ever.
			b.forget(m.Topic)
			b.client.PurgeTopicsFromProducing(b.topic(m.Topic))
		}
	}
	return errs
}

// answers collects the errors of a batch. The client may go on with a record after
// its caller has given up, so late ones are dropped.
type answers struct {
	mu      sync.Mutex
	errs    []error
	waiting map[int]bool
	done    chan struct{}
	closed  bool
}

func (a *answers) await(i int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waiting == nil {
		a.waiting, a.done = map[int]bool{}, make(chan struct{}, 1)
	}
	a.waiting[i] = true
}

func (a *answers) set(i int, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return
	}
	a.errs[i] = err
	delete(a.waiting, i)
	select {
	case a.done <- struct{}{}:
	default:
	}
}

func (a *answers) all(ctx context.Context) []error {
	for {
		a.mu.Lock()
		if len(a.waiting) == 0 || ctx.Err() != nil {
			for i := range a.waiting {
				a.errs[i] = fmt.Errorf("wait for the broker's answer: %w", context.Cause(ctx))
			}
			a.closed = true
			a.mu.Unlock()
			return a.errs
		}
		a.mu.Unlock()
		select {
		case <-a.done:
		case <-ctx.Done():
		}
	}
}

func explain(err error) error {
	for _, never := range []error{kerr.MessageTooLarge, kerr.InvalidTopicException, kerr.InvalidRecord, kerr.RecordListTooLarge} {
		if errors.Is(err, never) {
			return fmt.Errorf("%w: %w", driver.ErrRefused, err)
		}
	}
	return err
}

func (b *broker) encode(m driver.Message) *kgo.Record {
	record := &kgo.Record{
		Topic: b.topic(m.Topic), Partition: int32(driver.Partition(m, b.lanes)), Timestamp: m.Published, Value: m.Payload,
		Headers: []kgo.RecordHeader{
			{Key: headerID, Value: []byte(m.ID)},
			{Key: headerTime, Value: []byte(strconv.FormatInt(m.Published.UnixMicro(), 10))},
		},
	}
	if m.Key != "" {
		record.Key = []byte(m.Key)
	}
	for name, value := range m.Headers {
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
	}
	return record
}

// decode reads a record, as well as it can where another publisher wrote it: its
// place in its topic is unique.
func decode(r *kgo.Record, topic string) driver.Message {
	m := driver.Message{Topic: topic, Key: string(r.Key), Payload: r.Value, Published: r.Timestamp, Headers: map[string]string{}}
	for _, h := range r.Headers {
		switch h.Key {
		case headerID:
			m.ID = string(h.Value)
		case headerTime:
			if micros, err := strconv.ParseInt(string(h.Value), 10, 64); err == nil {
				m.Published = time.UnixMicro(micros)
			}
		default:
			m.Headers[h.Key] = string(h.Value)
		}
	}
	if m.ID == "" || len(m.ID) > 64 {
		m.ID = fmt.Sprintf("%s:%d:%d", r.Topic, r.Partition, r.Offset)
	}
	return m
}
