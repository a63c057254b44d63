package kafkaevents

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gowarren/warren/events/driver"
	"github.com/gowarren/warren/internal/openurl"
)

// creations counts the requests that make topics.
type creations struct{ n atomic.Int64 }

func (c *creations) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, _ error) {
	const createTopics = 19
	if key == createTopics {
		c.n.Add(1)
	}
}

// TestTopicIsMadeOnce: on many clusters only few may make topics, and services use
// those that are there.
func TestTopicIsMadeOnce(t *testing.T) {
	kafka := startFake(t)
	for want := int64(1); want >= 0; want-- {
		u, err := openurl.Parse("kafka://" + kafka.address() + "/shop")
		if err != nil {
			t.Fatal(err)
		}
		d, err := open(u, nil)
		if err != nil {
			t.Fatal(err)
		}
		// Begun anew, with who looks over its shoulder.
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		b, made := d.(*broker), &creations{}
		b.options = append(b.options, kgo.WithHooks(made))
		if err := b.start(); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for {
			errs := b.Publish(t.Context(), []driver.Message{{ID: "1", Topic: "eventstest.v1.Moved", Published: time.Now()}})
			if errors.Join(errs...) == nil {
				break
			}
			if time.Since(began) > 30*time.Second {
				t.Fatal(errs)
			}
		}
		if got := made.n.Load(); got != want {
			t.Errorf("asked %d times for the topic to be made; want %d", got, want)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestPlacesDiffer: what another program published without an id is not taken for what
// has the same place in another topic.
func TestPlacesDiffer(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range []*kgo.Record{
		{Topic: "shop.a", Partition: 1, Offset: 5}, {Topic: "shop.b", Partition: 1, Offset: 5},
		{Topic: "shop.a", Partition: 5, Offset: 1}, {Topic: "shop.a", Partition: 1, Offset: 6},
	} {
		id := decode(r, "t").ID
		if seen[id] {
			t.Errorf("two have the id %s", id)
		}
		seen[id] = true
	}
}

// TestTopicThatWasDeleted: it is made anew, and who publishes and who subscribes find the
// new one by themselves.
func TestTopicThatWasDeleted(t *testing.T) {
	const topic = "eventstest.v1.Moved"
	kafka := startFake(t)
	b := connect(t, "kafka://"+kafka.address()+"/shop?session=1s", nil).Driver.(*broker)
	ctx, cancel := context.WithCancel(t.Context())
	handled, ended := make(chan string, 1000), make(chan struct{})
	go func() { // as a bus does
		defer close(ended)
		for ctx.Err() == nil {
			_ = b.Subscribe(ctx, driver.Subscription{Topic: topic, Group: "s"}, func(m driver.Message) error {
				handled <- m.ID
				return nil
			})
		}
	}()
	defer func() {
		cancel()
		<-ended
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	arrives := func(which string) {
		t.Helper()
		var errs []error
		for n, end := 0, time.Now().Add(time.Minute); time.Now().Before(end); n++ {
			patience, done := context.WithTimeout(ctx, 5*time.Second)
			errs = b.Publish(patience, []driver.Message{{ID: fmt.Sprint(which, n), Topic: topic, Published: time.Now()}})
			done()
			if errors.Join(errs...) != nil {
				continue
			}
			select {
			case id := <-handled:
				if strings.HasPrefix(id, which) {
					return
				}
			case <-time.After(time.Second):
			}
		}
		t.Fatalf("no message of the %s topic arrives; published last: %v", which, errs)
	}
	arrives("first")
	if _, err := b.admin.DeleteTopics(ctx, b.topic(topic)); err != nil {
		t.Fatal(err)
	}
	arrives("second")
}
