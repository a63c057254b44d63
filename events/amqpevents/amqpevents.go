// Package amqpevents carries events over RabbitMQ, in quorum queues.
//
// # URLs
//
//	amqp://user:password@host:port[,host:port…]/<system>?vhost=shop
//
// amqps://… demands an encrypted connection. The parameters:
//
//	vhost=/          the virtual host
//	lanes=4          how many keys of a type are handled at once, over all instances
//	max_size=1048576 the largest event in bytes; the broker is not made for larger ones
//
// # Layout
//
// Events are published to the topic exchange <system>.events with the key
// <type>.<lane>; the lane is chosen by the event's key. A group has a queue per type
// and lane, of which one consumer at a time is active, with one message under way:
// so a key's events are handled in order by however many instances. A type without
// a key has one queue.
//
// A group gets what is published after it first subscribed. RabbitMQ ends a
// consumer that has been at one message for longer than its consumer_timeout, half
// an hour by default: then the message is handled twice, and takes effect once.
//
// A RabbitMQ that is killed within half a second after it made a queue may come
// back with a queue that has no leader and gets none: its directory of them was
// not written yet. Such a queue holds up what goes through it, and the log says
// so, until somebody deletes it.
package amqpevents

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/gowarren/warren/events/driver"
	"github.com/gowarren/warren/internal/openurl"
)

// Open opens the broker at u. It does not wait for it.
func Open(_ context.Context, u *url.URL) (driver.Driver, error) {
	system := strings.Trim(u.Path, "/")
	if system == "" || strings.ContainsAny(system, "/*# ") {
		return nil, fmt.Errorf("path %q is no name of a system", u.Path)
	}
	p := openurl.NewParams(u)
	b := &broker{
		exchange: system + ".events", system: system,
		lanes:   p.Int("lanes", 4),
		maxSize: p.Int("max_size", 1<<20),
	}
	vhost := p.String("vhost", "/")
	if err := p.Err(); err != nil {
		return nil, err
	}
	if b.lanes < 1 || b.lanes > 256 {
		return nil, fmt.Errorf("lanes %d are not between 1 and 256", b.lanes)
	}
	for host := range strings.SplitSeq(u.Host, ",") {
		server := url.URL{Scheme: u.Scheme, User: u.User, Host: host, Path: "/"}
		b.servers = append(b.servers, server.String())
	}
	b.config = amqp.Config{Vhost: vhost, Heartbeat: 5 * time.Second, Locale: "en_US", Dial: amqp.DefaultDial(2 * time.Second),
		Properties: amqp.Table{"connection_name": "warren events"}}
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	b.done.Go(func() { b.out.keep(ctx, b) })
	b.done.Go(func() { b.in.keep(ctx, b) })
	return b, nil
}

type broker struct {
	system, exchange string
	lanes, maxSize   int
	servers          []string
	config           amqp.Config
	stop             context.CancelFunc
	done             sync.WaitGroup

	// A broker that is short of memory stops reading from who publishes, and with
	// one line for both it would not hear either what has been handled.
	out, in line
	ordered sync.Map // a prefix of queues to whether their type has a key: what this process subscribes to

	publishing sync.Mutex
	confirms   *amqp.Channel // of publishConn, in confirm mode
	confirmsOf *amqp.Connection
}

// line is a connection that is made again when it is lost.
type line struct {
	mu   sync.Mutex
	conn *amqp.Connection // nil while there is none
	life int              // how many connections there were
}

var errAway = errors.New("the broker is away")

// keep connects, again and again.
func (l *line) keep(ctx context.Context, b *broker) {
	for at := 0; ctx.Err() == nil; at++ {
		config := b.config
		config.Properties = maps.Clone(b.config.Properties) // the client adds to them
		conn, err := amqp.DialConfig(b.servers[at%len(b.servers)], config)
		if err == nil {
			closed := conn.NotifyClose(make(chan *amqp.Error, 1))
			if b.prepare(conn) == nil {
				l.set(conn)
				select {
				case <-closed:
				case <-ctx.Done():
				}
				l.set(nil)
			}
			_ = conn.CloseDeadline(time.Now().Add(time.Second)) // it may be gone
		}
		timer := time.NewTimer(100 * time.Millisecond)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// prepare makes the exchange.
func (b *broker) prepare(conn *amqp.Connection) error {
	channel, err := conn.Channel()
	if err != nil {
		return err
	}
	return errors.Join(channel.ExchangeDeclare(b.exchange, amqp.ExchangeTopic, true, false, false, false, nil), channel.Close())
}

func (l *line) set(conn *amqp.Connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = conn
	if conn != nil {
		l.life++
	}
}

func (l *line) current() (*amqp.Connection, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil || l.conn.IsClosed() {
		return nil, errAway
	}
	return l.conn, nil
}

// Capabilities implements driver.Driver. A quorum queue confirms what a majority
// has written to its disks.
func (b *broker) Capabilities() driver.Capabilities {
	return driver.Capabilities{System: "rabbitmq", MaxSize: b.maxSize}
}

// Incarnation tells connections apart: nothing is lost between them.
func (b *broker) Incarnation() string {
	b.out.mu.Lock()
	defer b.out.mu.Unlock()
	if b.out.conn == nil || b.out.conn.IsClosed() {
		return ""
	}
	return fmt.Sprint("connection ", b.out.life)
}

// Close implements driver.Driver.
func (b *broker) Close() error {
	b.stop()
	b.done.Wait()
	return nil
}
