// Package natsevents carries events over NATS JetStream.
//
// # URLs
//
//	nats://host:port[,host:port…]/<system>?replicas=3
//
// User and password, or a token alone, stand before the host; creds names a file
// of credentials, and tls://… demands an encrypted connection. The other
// parameters:
//
//	ack_wait=30s     how long a message may stand without a sign from who handles it
//	lanes=8          how many keys of a type are handled at once, over all instances
//	replicas=1       copies of the stream, in a cluster
//	retention=72h    how long the stream keeps messages
//	max_bytes=0      the most that it keeps; when it is full, publishers wait
//	sync=1s          the servers' sync_interval: what they may lose
//
// # Layout
//
// All events of a system are in one stream, <system>-events, under the subject
// <system>.events.<type>.<lane>. The lane is chosen by the event's key. A group
// has a durable consumer per type and lane, which has one message under way at a
// time: so a key's events are handled in order by however many instances. A type
// without a key has one consumer.
package natsevents

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/gowarren/warren/events/driver"
	"github.com/gowarren/warren/internal/openurl"
)

// Open opens the broker at u. It does not wait for it.
func Open(_ context.Context, u *url.URL) (driver.Driver, error) {
	system := strings.Trim(u.Path, "/")
	if system == "" || strings.ContainsAny(system, "/.*> \t") {
		return nil, fmt.Errorf("path %q is no name of a system", u.Path)
	}
	p := openurl.NewParams(u)
	n := &broker{
		system:    system,
		lanes:     p.Int("lanes", 8),
		replicas:  p.Int("replicas", 1),
		ackWait:   p.Duration("ack_wait", 30*time.Second),
		retention: p.Duration("retention", 72*time.Hour),
		maxBytes:  int64(p.Int("max_bytes", 0)),
		unsynced:  p.Duration("sync", time.Second),
	}
	creds := p.String("creds", "")
	if err := p.Err(); err != nil {
		return nil, err
	}
	if n.lanes < 1 || n.lanes > 256 {
		return nil, fmt.Errorf("lanes %d are not between 1 and 256", n.lanes)
	}
	if n.ackWait < 100*time.Millisecond {
		return nil, fmt.Errorf("ack_wait %v is shorter than 100ms", n.ackWait)
	}
	options := []nats.Option{
		nats.Name("warren events"), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true),
		nats.ReconnectWait(100 * time.Millisecond), nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond),
		nats.ReconnectBufSize(-1), // what can't be sent is an error, and the outbox's
		nats.PingInterval(5 * time.Second), nats.MaxPingsOutstanding(2), nats.Timeout(2 * time.Second),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // seen where they matter
	}
	if u.User != nil {
		password, both := u.User.Password()
		if both {
			options = append(options, nats.UserInfo(u.User.Username(), password))
		} else {
			options = append(options, nats.Token(u.User.Username()))
		}
	}
	if creds != "" {
		options = append(options, nats.UserCredentials(creds))
	}
	var servers []string
	for host := range strings.SplitSeq(u.Host, ",") {
		servers = append(servers, u.Scheme+"://"+host)
	}
	return n, n.connect(servers, options)
}

type broker struct {
	system          string
	lanes, replicas int
	ackWait         time.Duration
	retention       time.Duration
	maxBytes        int64
	unsynced        time.Duration

	conn *nats.Conn
	js   jetstream.JetStream

	mu     sync.Mutex
	stream jetstream.Stream // nil: not looked at yet
}

func (n *broker) connect(servers []string, options []nats.Option) (err error) {
	if n.conn, err = nats.Connect(strings.Join(servers, ","), options...); err != nil {
		return err
	}
	n.js, err = jetstream.New(n.conn)
	return err
}

// Capabilities implements driver.Driver.
func (n *broker) Capabilities() driver.Capabilities {
	return driver.Capabilities{
		System: "nats", Unsynced: n.unsynced, Replay: n.retention, FromStart: true, MaxSize: int(n.conn.MaxPayload()),
	}
}

// Incarnation is the id of the server, which it draws when it starts.
func (n *broker) Incarnation() string {
	if !n.conn.IsConnected() {
		return ""
	}
	return n.conn.ConnectedServerId()
}

func (n *broker) name() string { return n.system + "-events" }

func (n *broker) subject(topic, lane string) string {
	return n.system + ".events." + topic + "." + lane
}

// laneCount notes in the stream how its lanes were counted: who counts otherwise
// would change the order.
const laneCount = "warren-lanes"

// ready returns the stream, and makes it when there is none.
func (n *broker) ready(ctx context.Context) (jetstream.Stream, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stream != nil {
		return n.stream, nil
	}
	if !n.conn.IsConnected() {
		return nil, nats.ErrDisconnected
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	stream, err := n.js.Stream(ctx, n.name())
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = n.js.CreateStream(ctx, n.config())
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // somebody was quicker
			stream, err = n.js.Stream(ctx, n.name())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", n.name(), err)
	}
	if lanes := stream.CachedInfo().Config.Metadata[laneCount]; lanes != strconv.Itoa(n.lanes) {
		return nil, fmt.Errorf("stream %s has %s lanes, and the URL says %d: the order of keys would break", n.name(), lanes, n.lanes)
	}
	n.stream = stream
	return stream, nil
}

func (n *broker) config() jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Name: n.name(), Subjects: []string{n.system + ".events.>"}, Storage: jetstream.FileStorage, Replicas: n.replicas,
		MaxAge: n.retention, MaxBytes: -1, Duplicates: min(2*time.Minute, n.retention),
		// A full stream makes publishers wait; it never drops what nobody has read.
		Discard:  jetstream.DiscardNew,
		Metadata: map[string]string{laneCount: strconv.Itoa(n.lanes)},
	}
	if n.maxBytes > 0 {
		c.MaxBytes = n.maxBytes
	}
	return c
}

// forget has the stream looked at again.
func (n *broker) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stream = nil
}

// Close implements driver.Driver.
func (n *broker) Close() error {
	n.conn.Close()
	return nil
}
