package natsevents

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/gowarren/warren/events/driver"
)

// allLanes is the lane of a consumer of a type without a key.
const allLanes = "all"

// Subscribe implements driver.Driver.
func (n *broker) Subscribe(ctx context.Context, s driver.Subscription, handle func(driver.Message) error) error {
	stream, err := n.ready(ctx)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var workers sync.WaitGroup
	defer workers.Wait()
	work := func(consumer jetstream.Consumer) {
		workers.Go(func() { stop(n.consume(ctx, consumer, s, handle)) })
	}
	if s.Ordered {
		for lane := range n.lanes {
			consumer, err := n.consumer(ctx, stream, s, strconv.Itoa(lane), 1)
			if err != nil {
				stop(err)
				return err
			}
			work(consumer)
		}
	} else {
		consumer, err := n.consumer(ctx, stream, s, allLanes, 1000)
		if err != nil {
			return err
		}
		for range max(1, s.Concurrency) {
			work(consumer)
		}
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

func (n *broker) consumer(ctx context.Context, stream jetstream.Stream, s driver.Subscription, lane string, pending int) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	filter := n.subject(s.Topic, lane)
	if lane == allLanes {
		filter = n.subject(s.Topic, "*")
	}
	consumer, err := stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: durable(s.Group, s.Topic, lane), FilterSubject: filter, DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: n.ackWait, MaxDeliver: -1, MaxAckPending: pending,
	})
	if err != nil {
		n.forget()
		return nil, fmt.Errorf("make consumer of %s for group %s: %w", s.Topic, s.Group, err)
	}
	return consumer, nil
}

// durable names a consumer. A name can't have dots in it.
func durable(group, topic, lane string) string {
	return strings.NewReplacer(".", "-", " ", "_", "*", "_", ">", "_", "/", "_", "\\", "_").Replace(group + "__" + topic + "__" + lane)
}

// consume handles one message at a time. The next is asked for when one is done,
// so none waits here while its time runs.
func (n *broker) consume(ctx context.Context, consumer jetstream.Consumer, s driver.Subscription, handle func(driver.Message) error) error {
	messages, err := consumer.Messages(jetstream.PullMaxMessages(1), jetstream.PullHeartbeat(2*time.Second), jetstream.PullExpiry(10*time.Second))
	if err != nil {
		return err
	}
	defer messages.Stop()
	release := context.AfterFunc(ctx, messages.Drain)
	defer release()
	for {
		msg, err := messages.Next()
		switch {
		case errors.Is(err, jetstream.ErrMsgIteratorClosed):
			return ctx.Err()
		case errors.Is(err, jetstream.ErrNoHeartbeat):
			if !n.conn.IsConnected() {
				continue // it goes on when the connection is back
			}
			return err
		case err != nil:
			return err
		}
		if ctx.Err() != nil {
			_ = msg.Nak() // for somebody else
			continue
		}
		n.deliver(msg, s.Topic, handle)
	}
}

// deliver shows that the message is being worked on until it is done. An answer
// that gets lost brings the message again.
func (n *broker) deliver(msg jetstream.Msg, topic string, handle func(driver.Message) error) {
	done := make(chan struct{})
	var beat sync.WaitGroup
	beat.Go(func() {
		ticker := time.NewTicker(n.ackWait / 3)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				_ = msg.InProgress()
			case <-done:
				return
			}
		}
	})
	err := handle(n.decode(msg, topic))
	close(done)
	beat.Wait()
	if err != nil {
		_ = msg.Nak()
		return
	}
	_ = msg.Ack()
}

// Lag counts what the group's consumers have before them.
func (n *broker) Lag(ctx context.Context, topic, group string) (int64, error) {
	stream, err := n.ready(ctx)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	lag := int64(0)
	lanes := []string{allLanes}
	for lane := range n.lanes {
		lanes = append(lanes, strconv.Itoa(lane))
	}
	found := false
	for _, lane := range lanes {
		consumer, err := stream.Consumer(ctx, durable(group, topic, lane))
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("ask for the lag of group %s in %s: %w", group, topic, err)
		}
		found = true
		info := consumer.CachedInfo()
		lag += int64(info.NumPending) + int64(info.NumAckPending)
	}
	if !found {
		return 0, fmt.Errorf("group %s does not subscribe to %s", group, topic)
	}
	return lag, nil
}
