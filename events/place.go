package events

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren/events/driver"
	"github.com/gowarren/warren/store"
)

// place is one database of a bus, with all that happens there: its outbox is
// relayed, its inbox is asked, and what failed there is tried again there.
type place struct {
	*Bus
	db     *store.DB
	suffix string        // of the names of its parts; empty where it is the only one
	woken  chan struct{} // its relay has something to do
	wakers sync.Map      // *subscription to chan struct{}: its retries have
}

// busKey finds a bus's place from its database.
type busKey struct{}

// AddDatabase has the bus carry the events of a further database, too, such as a
// shard. It is called before Run. Where the event of a subscription is handled,
// [WithDatabase] tells.
func (b *Bus) AddDatabase(db *store.DB) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.places {
		if p.db == db {
			return
		}
	}
	p := &place{Bus: b, db: db, woken: make(chan struct{}, 1)}
	if len(b.places) > 0 {
		p.suffix = fmt.Sprintf(" of database %d", len(b.places)+1)
	}
	b.places = append(b.places, p)
	db.Attach(busKey{}, p)
}

// waker is how the place's retries of a subscription are woken.
func (p *place) waker(s *subscription) chan struct{} {
	c, _ := p.wakers.LoadOrStore(s, make(chan struct{}, 1))
	return c.(chan struct{})
}

// WithDatabase says in which database of the bus an event is handled, instead of
// in the first: in the shard of its key, say. The type is that of the
// subscription. An error that passes, such as a database that is away, holds the
// event; any other makes it a dead letter.
func WithDatabase[T any, P interface {
	*T
	proto.Message
}](choose func(ctx context.Context, event *T) (*store.DB, error)) SubscribeOption {
	return func(s *subscription) {
		s.choose = func(ctx context.Context, payload []byte) (*store.DB, error) {
			event := new(T)
			if name := string(P(event).ProtoReflect().Descriptor().FullName()); name != s.topic {
				return nil, DeadLetter("its database is chosen by a function of " + name)
			}
			if err := proto.Unmarshal(payload, P(event)); err != nil {
				return nil, DeadLetter("its payload is no " + s.topic + ": " + err.Error())
			}
			return choose(ctx, event)
		}
	}
}

// placeOf is where the subscription handles a message. Where nobody can tell, the
// first place keeps it as a dead letter, for the reason that is returned.
func (b *Bus) placeOf(ctx context.Context, s *subscription, m driver.Message) (at *place, doubt, err error) {
	if s.choose == nil {
		return b.places[0], nil, nil
	}
	db, err := s.choose(ctx, m.Payload)
	switch {
	case err != nil && away(err):
		return nil, nil, err
	case err != nil:
		return b.places[0], DeadLetter(err.Error()), nil
	}
	for _, p := range b.places {
		if p.db == db {
			return p, nil, nil
		}
	}
	return b.places[0], DeadLetter("the bus does not know the database that was chosen for it"), nil
}

// move hands a row that waits here to the place where its event belongs. If the
// process dies in between, it is moved again, and the inbox there knows it.
func (p *place) move(ctx context.Context, s *subscription, w *waiting, to *place) error {
	err := to.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		fresh, err := accept(ctx, tx, s.group, w.message.ID)
		if err != nil || !fresh {
			return err
		}
		return park(ctx, tx, s, w.message, 0, w.message.Published, "belongs here")
	})
	if err != nil {
		return err
	}
	err = p.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error { return w.remove(ctx, tx) })
	wake(to.waker(s))
	return err
}
