package amqpevents

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/gowarren/warren/events/driver"
)

// allLanes is the lane of the queue of a type without a key.
const allLanes = "all"

// unbounded is how often a message may be delivered: it is the portable type that
// gives up, and RabbitMQ 4 would drop it after 20 times.
const unbounded = 1 << 30

// patience is how long the broker may take to begin a lane. A queue without a
// leader makes it wait for one.
const patience = 30 * time.Second

// Subscribe implements driver.Driver. All queues of the subscription have channels
// of one connection, and end with it. Each begins by itself: one that the broker
// cannot serve does not hold up the others.
func (b *broker) Subscribe(ctx context.Context, s driver.Subscription, handle func(driver.Message) error) error {
	conn, err := b.in.current()
	if err != nil {
		return err
	}
	b.ordered.Store(b.queue(s.Group, s.Topic, ""), s.Ordered)
	lanes, workers := []string{allLanes}, max(1, s.Concurrency)
	if s.Ordered {
		lanes, workers = b.keyedLanes(), 1
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var running sync.WaitGroup
	defer running.Wait()
	for _, lane := range lanes {
		running.Go(func() {
			channel, deliveries, err := b.begin(ctx, conn, s, lane, workers)
			if err == nil {
				err = consume(ctx, channel, deliveries, s.Topic, workers, handle)
			}
			stop(err)
		})
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// keyedLanes are the lanes of a type with a key.
func (b *broker) keyedLanes() (lanes []string) {
	for lane := range b.lanes {
		lanes = append(lanes, strconv.Itoa(lane))
	}
	return lanes
}

// begin listens to a lane, unless ctx ends before the broker has answered: then
// what comes of it is given up when it comes, or ends with the connection.
func (b *broker) begin(ctx context.Context, conn *amqp.Connection, s driver.Subscription, lane string, workers int) (
	*amqp.Channel, <-chan amqp.Delivery, error,
) {
	silence := fmt.Errorf("the broker does not answer for queue %s: it may have no leader", b.queue(s.Group, s.Topic, lane))
	ctx, cancel := context.WithTimeoutCause(ctx, patience, silence)
	defer cancel()
	type answer struct {
		channel    *amqp.Channel
		deliveries <-chan amqp.Delivery
		err        error
	}
	answers := make(chan answer, 1)
	go func() {
		channel, deliveries, err := b.listen(conn, s, lane, workers)
		answers <- answer{channel, deliveries, err}
	}()
	select {
	case a := <-answers:
		return a.channel, a.deliveries, a.err
	case <-ctx.Done():
		go func() {
			if a := <-answers; a.err == nil {
				_ = a.channel.Close() // it gives back what it got
			}
		}()
		return nil, nil, context.Cause(ctx)
	}
}

func (b *broker) queue(group, topic, lane string) string {
	return strings.Join([]string{b.system, group, topic, lane}, ".")
}

// listen makes the queue and begins to consume it.
func (b *broker) listen(conn *amqp.Connection, s driver.Subscription, lane string, workers int) (*amqp.Channel, <-chan amqp.Delivery, error) {
	name, binding := b.queue(s.Group, s.Topic, lane), s.Topic+"."+lane
	if lane == allLanes {
		binding = s.Topic + ".*"
	}
	channel, err := conn.Channel()
	if err != nil {
		return nil, nil, err
	}
	_, err = channel.QueueDeclare(name, true, false, false, false, amqp.Table{
		"x-queue-type": "quorum", "x-single-active-consumer": s.Ordered, "x-delivery-limit": int64(unbounded),
	})
	if err == nil {
		err = channel.QueueBind(name, binding, b.exchange, false, nil)
	}
	if err == nil {
		err = channel.Qos(workers, 0, false)
	}
	var deliveries <-chan amqp.Delivery
	if err == nil {
		deliveries, err = channel.Consume(name, consumerTag, false, false, false, false, nil)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("subscribe to queue %s: %w", name, err), channel.Close())
	}
	return channel, deliveries, nil
}

// consumerTag names the one consumer of a channel.
const consumerTag = "warren"

// consume handles what arrives, and when ctx ends gives back what it hasn't begun.
func consume(ctx context.Context, channel *amqp.Channel, deliveries <-chan amqp.Delivery, topic string, workers int, handle func(driver.Message) error) error {
	release := context.AfterFunc(ctx, func() { _ = channel.Cancel(consumerTag, false) })
	defer release()
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for d := range deliveries {
				if ctx.Err() != nil || handle(decode(d, topic)) != nil {
					_ = d.Nack(false, true) // comes again, to whoever is there
					continue
				}
				_ = d.Ack(false) // lost: it comes again
			}
		})
	}
	running.Wait()
	_ = channel.Close() // it may have ended by itself
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errAway
}

// Lag counts what is in the group's queues.
func (b *broker) Lag(_ context.Context, topic, group string) (int64, error) {
	conn, err := b.in.current()
	if err != nil {
		return 0, err
	}
	lanes := append(b.keyedLanes(), allLanes)
	if ordered, known := b.ordered.Load(b.queue(group, topic, "")); known {
		lanes = []string{allLanes}
		if ordered.(bool) {
			lanes = b.keyedLanes()
		}
	}
	lag, found := int64(0), false
	for _, lane := range lanes {
		channel, err := conn.Channel()
		if err != nil {
			return 0, err
		}
		queue, err := channel.QueueDeclarePassive(b.queue(group, topic, lane), true, false, false, false, nil)
		if refusal, ok := errors.AsType[*amqp.Error](err); ok && refusal.Code == amqp.NotFound {
			continue // which has closed the channel
		}
		if err := errors.Join(err, channel.Close()); err != nil {
			return 0, fmt.Errorf("ask for the lag of group %s in %s: %w", group, topic, err)
		}
		lag, found = lag+int64(queue.Messages), true
	}
	if !found {
		return 0, fmt.Errorf("group %s does not subscribe to %s", group, topic)
	}
	return lag, nil
}
