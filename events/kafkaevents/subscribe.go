package kafkaevents

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gowarren/warren/events/driver"
)

// pollSize is how many records are handled between two commits.
const pollSize = 64

// Subscribe implements driver.Driver. Each subscription is a member of its own
// group, so that one type's members come and go without disturbing another's.
func (b *broker) Subscribe(ctx context.Context, s driver.Subscription, handle func(driver.Message) error) error {
	if err := b.ready(ctx, s.Topic); err != nil {
		return err
	}
	client, err := kgo.NewClient(append(b.options,
		kgo.ConsumerGroup(b.group(s.Group, s.Topic)), kgo.ConsumeTopics(b.topic(s.Topic)),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
		// A partition that is being handled stays until its records are committed.
		kgo.BlockRebalanceOnPoll(), kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(b.session), kgo.HeartbeatInterval(b.session/5), kgo.FetchMaxWait(time.Second))...)
	if err != nil {
		return err
	}
	defer leave(client)
	for {
		fetches := client.PollRecords(ctx, pollSize)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if fetches.IsClientClosed() {
			return errors.New("the client is closed")
		}
		done := b.handle(ctx, fetches, s, handle)
		if err := commit(ctx, client, done); err != nil {
			return err
		}
		client.AllowRebalance()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// The client tells of what it can't mend itself, and goes on without that part: a
		// topic that was deleted, or that may not be read any more.
		if err := fetches.Err(); err != nil {
			b.forget(s.Topic)
			return fmt.Errorf("fetch from topic %s: %w", b.topic(s.Topic), err)
		}
	}
}

// leave tells the group, if it can be told soon.
func leave(client *kgo.Client) {
	client.AllowRebalance()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = client.LeaveGroupContext(ctx) // the others notice by themselves, later
	client.CloseAllowingRebalance()
}

// handle works through what was fetched and returns the records up to which each
// partition is done.
func (b *broker) handle(ctx context.Context, fetches kgo.Fetches, s driver.Subscription, handle func(driver.Message) error) []*kgo.Record {
	var mu sync.Mutex
	var done []*kgo.Record
	var running sync.WaitGroup
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if len(p.Records) == 0 {
			return
		}
		running.Go(func() {
			if last := inOrder(ctx, p.Records, s.Topic, handle); last != nil {
				mu.Lock()
				defer mu.Unlock()
				done = append(done, last)
			}
		})
	})
	running.Wait()
	return done
}

// inOrder handles a partition's records one after the other. One that isn't done
// comes again at once, and stays with the group when ctx has ended.
func inOrder(ctx context.Context, records []*kgo.Record, topic string, handle func(driver.Message) error) (last *kgo.Record) {
	for _, r := range records {
		for {
			if ctx.Err() != nil {
				return last
			}
			if handle(decode(r, topic)) == nil {
				break
			}
		}
		last = r
	}
	return last
}

// commit tells the broker what is done, also when ctx has just ended. When it can't
// be told, the records come again.
func commit(ctx context.Context, client *kgo.Client, done []*kgo.Record) error {
	if len(done) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := client.CommitRecords(ctx, done...); err != nil {
		return fmt.Errorf("commit offsets: %w", err)
	}
	return nil
}
