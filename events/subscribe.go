package events

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren/events/driver"
	"github.com/gowarren/warren/store"
)

// App is what has a bus: *warren.App, or a test's own.
type App interface {
	Events() *Bus
}

// SubscribeOption changes how one type of events is handled.
type SubscribeOption func(*subscription)

// WithGroup subscribes as another group than the service: each group gets every
// event once. So one service can handle a type in two ways.
func WithGroup(name string) SubscribeOption { return func(s *subscription) { s.group = name } }

// WithConcurrency sets how many events are handled at once, instead of the setting
// events.concurrency.
func WithConcurrency(n int) SubscribeOption { return func(s *subscription) { s.concurrency = n } }

// subscription is one group's interest in one type of events.
type subscription struct {
	topic, group string
	ordered      bool
	concurrency  int // 0: as the setting says
	handler      string
	policy       policy
	// call decodes the payload and calls the handler.
	call func(ctx context.Context, tx *store.Tx, payload []byte) error
	// choose says in which database; nil: the first.
	choose func(ctx context.Context, payload []byte) (*store.DB, error)
}

// Subscribe has fn called for each event of type T, once per event and group, in a
// transaction of the service's database. Transactions of that database that fn
// begins with its context are part of it. A second subscription of the same type
// and group is refused:
// they would take events from each other.
func Subscribe[T any, P interface {
	*T
	proto.Message
}](app App, fn func(ctx context.Context, tx *store.Tx, event *T) error, opts ...SubscribeOption) error {
	b := app.Events()
	md := P(new(T)).ProtoReflect().Descriptor()
	kind, err := b.typeOf(md)
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", md.FullName(), err)
	}
	s := &subscription{
		topic: kind.topic, group: b.opts.Service, ordered: len(kind.key) > 0,
		handler: ending(runtime.FuncForPC(reflect.ValueOf(fn).Pointer()).Name(), maxHandler),
		policy:  watchPolicy(b.opts.Settings, kind.topic),
		call: func(ctx context.Context, tx *store.Tx, payload []byte) error {
			event := new(T)
			if err := proto.Unmarshal(payload, P(event)); err != nil {
				return DeadLetter("its payload is no " + kind.topic + ": " + err.Error())
			}
			return fn(ctx, tx, event)
		},
	}
	for _, o := range opts {
		o(s)
	}
	if err := b.subscribe(s); err != nil {
		return fmt.Errorf("subscribe to %s: %w", s.topic, err)
	}
	return nil
}

func (b *Bus) subscribe(s *subscription) error {
	if s.group == "" {
		return errors.New("the group has no name")
	}
	if len(s.group) > maxGroup {
		return fmt.Errorf("the name of the group has %d bytes; %d are the most", len(s.group), maxGroup)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, other := range b.subs {
		if other.topic == s.topic && other.group == s.group {
			return fmt.Errorf("group %s has a handler already, %s: name another with WithGroup", s.group, other.handler)
		}
	}
	b.subs = append(b.subs, s)
	if b.current != nil {
		b.begin(b.current, s)
	}
	return nil
}

// ending is the end of a name, which says most.
func ending(name string, most int) string {
	return strings.ToValidUTF8(name[max(0, len(name)-most):], "")
}

// begin starts a subscription's work. The caller holds mu.
func (b *Bus) begin(r *run, s *subscription) {
	r.handle(func() { b.consume(r, s) })
	for _, p := range b.places {
		r.handle(func() { p.retry(r, s) })
	}
}

// handle runs a task that [Bus.Drain] waits for.
func (r *run) handle(task func()) {
	r.handling.Add(1)
	r.tasks.Go(func() { defer r.handling.Done(); task() })
}

// consume keeps the subscription going.
func (b *Bus) consume(r *run, s *subscription) {
	wanted := driver.Subscription{Topic: s.topic, Group: s.group, Ordered: s.ordered, Concurrency: s.concurrency}
	if wanted.Concurrency <= 0 {
		wanted.Concurrency = s.policy.concurrency.Get()
	}
	part := "subscription " + s.group + " " + s.topic
	for backoff := first; r.taking.Err() == nil; {
		began := time.Now()
		err := b.driver.Subscribe(r.taking, wanted, func(m driver.Message) error {
			b.outage.over(part)
			return b.receive(r, s, m)
		})
		if r.taking.Err() != nil {
			return
		}
		if time.Since(began) > last {
			backoff = first
		}
		b.outage.began(part, err)
		pause(r.taking, backoff)
		backoff = min(2*backoff, last)
	}
}

// run calls the handler, and turns a panic into an error.
func (s *subscription) run(ctx context.Context, tx *store.Tx, b *Bus, m driver.Message, attempt int) (err error) {
	if kind := m.Headers[headerType]; kind != "" && kind != s.topic {
		return DeadLetter("its type is " + kind + ", which is not that of its topic")
	}
	ctx = context.WithValue(ctx, messageKey{}, Message{
		ID: m.ID, Topic: m.Topic, Key: m.Key, Group: s.group, Attempt: attempt, Published: m.Published, Headers: m.Headers,
	})
	defer func() {
		if p := recover(); p != nil {
			b.opts.Logger.ErrorContext(ctx, "handler of event panicked", "topic", s.topic, "id", m.ID, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return s.call(ctx, tx, m.Payload)
}

// trace goes on with the publisher's trace: the span is its child, and linked to it.
func (s *subscription) trace(ctx context.Context, b *Bus, m driver.Message, attempt int) (context.Context, func(error)) {
	ctx = b.opts.Tracer.Extract(ctx, func(k string) string { return m.Headers[k] })
	ctx, span := b.opts.Tracer.Start(ctx, "process "+s.topic, trace.SpanKindConsumer)
	return ctx, func(err error) {
		span.SetError(err)
		if span.Recording() {
			span.SetAttr(attribute.String("messaging.system", b.can.System), attribute.String("messaging.operation.type", "process"),
				attribute.String("messaging.operation.name", "process"), attribute.String("messaging.destination.name", s.topic),
				attribute.String("messaging.consumer.group.name", s.group), attribute.String("messaging.message.id", m.ID),
				attribute.Int("warren.attempt", attempt))
		}
		span.End()
	}
}
