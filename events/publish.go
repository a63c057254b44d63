package events

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/store"
)

// The headers that Warren gives an event, besides those of W3C Trace Context.
const (
	headerSource = "source" // the service that published it
	headerType   = "type"   // the full name of its type
)

// As much as the tables take.
const (
	maxID      = 64
	maxTopic   = 200
	maxKey     = 200
	maxGroup   = 100
	maxHandler = 200
)

// PublishOption changes how one event is published.
type PublishOption func(*publication)

type publication struct {
	key     string
	headers map[string]string
}

// WithKey sets the key instead of the field that the contract names.
func WithKey(key string) PublishOption { return func(p *publication) { p.key = key } }

// WithHeader adds a header. Its name is made of lower-case letters, digits and
// dashes; handlers find it in their [Message].
func WithHeader(name, value string) PublishOption {
	return func(p *publication) { p.headers[name] = value }
}

// Publish makes an event part of the transaction: it is published once the
// transaction is committed, and never if it is not. The type's full name is the
// topic. The transaction's database must have a bus.
func Publish(ctx context.Context, tx *store.Tx, msg proto.Message, opts ...PublishOption) error {
	name := msg.ProtoReflect().Descriptor().FullName()
	b, ok := tx.Attached(busKey{}).(*place)
	if !ok {
		return fmt.Errorf("publish %s: the database has no bus for events: call Events in setup", name)
	}
	ctx, span := b.opts.Tracer.Start(ctx, "send "+string(name), trace.SpanKindProducer)
	defer span.End()
	err := b.publish(ctx, tx, msg, opts)
	if err != nil {
		err = fmt.Errorf("publish %s: %w", name, err)
	}
	span.SetError(err)
	if span.Recording() {
		span.SetAttr(attribute.String("messaging.system", b.can.System), attribute.String("messaging.operation.type", "send"),
			attribute.String("messaging.operation.name", "publish"), attribute.String("messaging.destination.name", string(name)))
	}
	return err
}

func (b *place) publish(ctx context.Context, tx *store.Tx, msg proto.Message, opts []PublishOption) error {
	kind, err := b.typeOf(msg.ProtoReflect().Descriptor())
	if err != nil {
		return err
	}
	p := &publication{key: kind.keyOf(msg), headers: map[string]string{headerSource: b.opts.Service, headerType: kind.topic}}
	for _, o := range opts {
		o(p)
	}
	if len(p.key) > maxKey {
		return fmt.Errorf("its key has %d bytes; %d are the most", len(p.key), maxKey)
	}
	for header := range p.headers {
		if !headerName(header) {
			return fmt.Errorf("header %q: a name is made of lower-case letters, digits and dashes", header)
		}
	}
	b.opts.Tracer.Inject(ctx, func(k, v string) { p.headers[k] = v })
	payload, err := proto.Marshal(msg)
	if err != nil {
		return err
	}
	headers, err := json.Marshal(p.headers)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO warren_outbox (id, topic, event_key, headers, payload, created_at, state, sent_at)
		VALUES (?, ?, ?, ?, ?, ?, 0, 0)`, rand.Text(), kind.topic, p.key, string(headers), notNil(payload), time.Now())
	if err != nil {
		return err
	}
	tx.AfterCommit(func() { wake(b.woken) })
	return nil
}

// eventType is what the contract says of a type of events.
type eventType struct {
	topic string
	key   []protoreflect.FieldDescriptor // the path to it; empty: no order
}

var errNoEvent = errors.New("it is no event: its contract lacks the option (warren.v1.event)")

func (b *Bus) typeOf(md protoreflect.MessageDescriptor) (*eventType, error) {
	if known, ok := b.types.Load(md.FullName()); ok {
		return known.(*eventType), nil
	}
	path, event := contract.EventKey(md)
	if !event {
		return nil, errNoEvent
	}
	t := &eventType{topic: string(md.FullName())}
	if len(t.topic) > maxTopic {
		return nil, fmt.Errorf("its name has %d bytes; %d are the most", len(t.topic), maxTopic)
	}
	for at := md; path != ""; {
		var name string
		name, path, _ = strings.Cut(path, ".")
		var fd protoreflect.FieldDescriptor
		if at != nil {
			fd = at.Fields().ByName(protoreflect.Name(name))
		}
		if fd == nil || fd.IsList() || fd.IsMap() || path == "" && fd.Message() != nil {
			return nil, fmt.Errorf("its key %s is no field that holds one plain value", name)
		}
		t.key, at = append(t.key, fd), fd.Message()
	}
	b.types.Store(md.FullName(), t)
	return t, nil
}

// keyOf reads the key's field; what is not set is empty.
func (t *eventType) keyOf(msg proto.Message) string {
	if len(t.key) == 0 {
		return ""
	}
	at := msg.ProtoReflect()
	for _, fd := range t.key[:len(t.key)-1] {
		at = at.Get(fd).Message()
	}
	leaf := t.key[len(t.key)-1]
	if leaf.Kind() == protoreflect.BytesKind {
		return hex.EncodeToString(at.Get(leaf).Bytes())
	}
	return at.Get(leaf).String()
}

func headerName(s string) bool {
	for _, c := range []byte(s) {
		if c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// notNil is for databases that take no bytes for NULL.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
