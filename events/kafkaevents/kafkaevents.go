// Package kafkaevents carries events over Kafka.
//
// # URLs
//
//	kafka://host:port[,host:port…]/<system>?replicas=3
//
// User and password before the host are for SASL PLAIN; kafkas://… demands an
// encrypted connection. The parameters:
//
//	lanes=8          partitions of a topic: how many keys are handled at once, over all instances
//	replicas=1       copies of a topic that is made
//	retention=72h    how long a topic that is made keeps messages
//	session=10s      after which silence a member of a group is taken for dead
//	max_size=921600  the largest event in bytes
//
// # Layout
//
// A type is the topic <system>.<type>, a lane its partition, chosen by the event's
// key. A group consumes it as <system>.<group>.<type>, and handles the messages of a
// partition one after the other. Offsets are committed after the handlers are done;
// what was handled and not committed comes again.
package kafkaevents

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/gowarren/warren/events/driver"
	"github.com/gowarren/warren/internal/openurl"
)

// Open opens the broker at u. It does not wait for it.
func Open(_ context.Context, u *url.URL) (driver.Driver, error) { return open(u, nil) }

// dialer opens connections to brokers, when it is not nil.
type dialer func(ctx context.Context, network, host string) (net.Conn, error)

func open(u *url.URL, dial dialer) (driver.Driver, error) {
	system := strings.Trim(u.Path, "/")
	if system == "" || strings.ContainsAny(system, "/ *") {
		return nil, fmt.Errorf("path %q is no name of a system", u.Path)
	}
	p := openurl.NewParams(u)
	b := &broker{
		system:    system,
		lanes:     p.Int("lanes", 8),
		replicas:  p.Int("replicas", 1),
		retention: p.Duration("retention", 72*time.Hour),
		session:   p.Duration("session", 10*time.Second),
		maxSize:   p.Int("max_size", 900<<10),
		topics:    map[string]bool{},
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	if b.lanes < 1 || b.lanes > 1000 {
		return nil, fmt.Errorf("lanes %d are not between 1 and 1000", b.lanes)
	}
	b.options = []kgo.Opt{
		kgo.SeedBrokers(strings.Split(u.Host, ",")...), kgo.ClientID("warren-events"), kgo.DialTimeout(2 * time.Second),
		kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond }),
		kgo.MetadataMinAge(100 * time.Millisecond), kgo.MetadataMaxAge(30 * time.Second),
	}
	if dial != nil {
		b.options = append(b.options, kgo.Dialer(dial))
	}
	if u.Scheme == "kafkas" {
		b.options = append(b.options, kgo.DialTLSConfig(&tls.Config{MinVersion: tls.VersionTLS12}))
	}
	if u.User != nil {
		password, _ := u.User.Password()
		b.options = append(b.options, kgo.SASL(plain.Auth{User: u.User.Username(), Pass: password}.AsMechanism()))
	}
	return b, b.start()
}

type broker struct {
	system          string
	lanes, replicas int
	retention       time.Duration
	session         time.Duration
	maxSize         int
	options         []kgo.Opt

	client *kgo.Client
	admin  *kadm.Client
	here   atomic.Bool
	stop   context.CancelFunc
	done   sync.WaitGroup

	mu     sync.Mutex
	topics map[string]bool // that are there, with the right partitions
}

const pingEvery = 250 * time.Millisecond

func (b *broker) start() (err error) {
	b.client, err = kgo.NewClient(append(b.options,
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordDeliveryTimeout(10*time.Second), kgo.ProducerLinger(0))...)
	if err != nil {
		return err
	}
	b.admin = kadm.NewClient(b.client)
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	b.done.Go(func() { b.ping(ctx) })
	return nil
}

// ping knows whether a broker answers.
func (b *broker) ping(ctx context.Context) {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		b.here.Store(b.client.Ping(try) == nil)
		cancel()
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// Capabilities implements driver.Driver.
func (b *broker) Capabilities() driver.Capabilities {
	return driver.Capabilities{System: "kafka", Replay: b.retention, FromStart: true, MaxSize: b.maxSize}
}

// Incarnation is the same for ever: all copies of a topic have what was accepted.
func (b *broker) Incarnation() string {
	if !b.here.Load() {
		return ""
	}
	return "cluster"
}

func (b *broker) topic(name string) string { return b.system + "." + name }

func (b *broker) group(group, topic string) string { return b.system + "." + group + "." + topic }

// ready makes the topic when it is missing, and refuses one that is divided
// otherwise: keys would change their lanes, and lose their order.
func (b *broker) ready(ctx context.Context, name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.topics[name] {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	n, err := b.partitions(ctx, name)
	if err == nil && n == 0 { // to make one may not be allowed, where somebody else did
		n, err = b.create(ctx, name)
	}
	if err != nil {
		return err
	}
	if n != b.lanes {
		return fmt.Errorf("topic %s has %d partitions, and the URL says %d lanes: the order of keys would break", b.topic(name), n, b.lanes)
	}
	b.topics[name] = true
	return nil
}

// forget has a topic looked at again.
func (b *broker) forget(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.topics, name)
}

// create makes a topic, if nobody is quicker, and counts its partitions.
func (b *broker) create(ctx context.Context, name string) (int, error) {
	keep := strconv.FormatInt(b.retention.Milliseconds(), 10)
	_, err := b.admin.CreateTopic(ctx, int32(b.lanes), int16(b.replicas), map[string]*string{"retention.ms": &keep}, b.topic(name))
	switch {
	case errors.Is(err, kerr.TopicAlreadyExists):
		return b.partitions(ctx, name)
	case err != nil:
		return 0, fmt.Errorf("make topic %s: %w", b.topic(name), err)
	}
	return b.lanes, nil
}

// partitions counts those of a topic: none where it is missing.
func (b *broker) partitions(ctx context.Context, name string) (int, error) {
	details, err := b.admin.ListTopics(ctx, b.topic(name))
	topic := details[b.topic(name)]
	if err == nil && !errors.Is(topic.Err, kerr.UnknownTopicOrPartition) {
		err = topic.Err
	}
	if err != nil {
		return 0, fmt.Errorf("look at topic %s: %w", b.topic(name), err)
	}
	return len(topic.Partitions), nil
}

// Lag counts what the group has not committed.
func (b *broker) Lag(ctx context.Context, topic, group string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	name := b.group(group, topic)
	lags, err := b.admin.Lag(ctx, name)
	if err != nil {
		return 0, fmt.Errorf("ask for the lag of group %s in %s: %w", group, topic, err)
	}
	of := lags[name]
	if err := of.Error(); err != nil {
		return 0, fmt.Errorf("ask for the lag of group %s in %s: %w", group, topic, err)
	}
	return of.Lag.Total(), nil
}

// Close implements driver.Driver.
func (b *broker) Close() error {
	b.stop()
	b.done.Wait()
	b.client.Close()
	return nil
}
