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
	tables chan struct{} // closed when they are there
	once   sync.Once     // to close it
	woken  chan struct{} // its relay has something to do
	wakers sync.Map      // *subscription to chan struct{}: its retries have
}

// busKey finds a bus's place from its database.
type busKey struct{}

// AddDatabase has the bus carry the events of a further database, too, such as a
// shard; while it runs, too. Where the event of a subscription is handled,
// [WithDatabase] tells.
func (b *Bus) AddDatabase(db *store.DB) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.places {
		if p.db == db {
			return
		}
	}
	p := &place{Bus: b, db: db, tables: make(chan struct{}), woken: make(chan struct{}, 1)}
	if len(b.places) > 0 {
		p.suffix = fmt.Sprintf(" of database %d", len(b.places)+1)
	}
	b.places = append(b.places, p)
	db.Attach(busKey{}, p)
	r := b.current
	if r == nil {
		return
	}
	r.tasks.Go(func() { p.carry(r) })
	for _, s := range b.subs {
		r.handle(func() { p.retry(r, s) })
	}
}

// all are the places that there are now.
func (b *Bus) all() []*place {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.places
}

// prepared tells whether the place's tables are there.
func (p *place) prepared() bool {
	select {
	case <-p.tables:
		return true
	default:
		return false
	}
}

// carry relays what is published in a database, which may have joined just now.
func (p *place) carry(r *run) {
	if err := p.migrate(r.stopping); err != nil {
		if r.stopping.Err() == nil {
			p.opts.Logger.Error("a database carries no events: its tables can't be made", "database", p.db.Name(), "error", err)
		}
		return
	}
	p.relay(r)
}

// place is the bus's place in a database, or nil.
func (b *Bus) place(db *store.DB) *place {
	for _, p := range b.all() {
		if p.db == db {
			return p
		}
	}
	return nil
}

// had tells whether the group handled a message in another database than this,
// which its key was moved to since. It asks those that answer.
func (p *place) had(ctx context.Context, s *subscription, m driver.Message) bool {
	for _, other := range p.all() {
		if other == p || s.choose == nil || p.outage.is("relay"+other.suffix) {
			continue
		}
		var n int
		err := other.db.QueryRow(ctx, `SELECT COUNT(*) FROM warren_inbox WHERE consumer_group = ? AND message_id = ?`, s.group, m.ID).Scan(&n)
		if err == nil && n > 0 {
			return true
		}
	}
	return false
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
	home := b.all()[0]
	if s.choose == nil {
		return home, nil, nil
	}
	db, err := s.choose(ctx, m.Payload)
	switch {
	case err != nil && away(err):
		return nil, nil, err
	case err != nil:
		return home, DeadLetter(err.Error()), nil
	}
	if p := b.place(db); p != nil {
		return p, nil, nil
	}
	return home, DeadLetter("the bus does not know the database that was chosen for it"), nil
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
