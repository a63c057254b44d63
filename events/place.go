package events

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren/events/driver"
	"github.com/gowarren/warren/internal/inshard"
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
	life   string        // of the broker that it published to last
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

// first looks in the other databases, which the message's key may have been in
// before: for the message itself, which then was handled, and for earlier ones with
// its key that wait there to be tried again, which then come here. One that does not
// answer holds the message, unless it can't have had the key: then those are
// asked that answer.
func (p *place) first(ctx context.Context, s *subscription, m driver.Message, stayed bool) (handled bool, err error) {
	for _, other := range p.all() {
		if other == p || s.choose == nil || stayed && p.outage.is("relay"+other.suffix) {
			continue
		}
		var known, waits int
		err := other.db.QueryRow(ctx, `SELECT (SELECT COUNT(*) FROM warren_inbox WHERE consumer_group = ? AND message_id = ?),
			(SELECT COUNT(*) FROM (SELECT seq FROM warren_retries WHERE consumer_group = ? AND topic = ? AND event_key = ? LIMIT 1) w)`,
			s.group, m.ID, s.group, m.Topic, m.Key).Scan(&known, &waits)
		if err != nil && stayed {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("ask database %s whether it has the event: %w", other.db.Name(), err)
		}
		if known > 0 {
			return true, nil
		}
		if waits > 0 && m.Key != "" {
			if err := other.moveAll(ctx, s, m.Key, p); err != nil {
				return false, err
			}
		}
	}
	return false, nil
}

// waker is how the place's retries of a subscription are woken.
func (p *place) waker(s *subscription) chan struct{} {
	c, _ := p.wakers.LoadOrStore(s, make(chan struct{}, 1))
	return c.(chan struct{})
}

// WithDatabase says in which database of the bus an event is handled, instead of
// in the first: in the shard of its key, say. The type is that of the
// subscription. An event that may have been handled in another database before waits
// for that one to answer, unless the choice asks package shards for the database of a shard
// that never moved. An error that passes, such as a database that is away, holds the
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

// choice is where the subscription handles a message.
type choice struct {
	*place
	doubt  error // why nobody can tell: the first place keeps it as a dead letter
	stayed bool  // nothing with its key was handled elsewhere, or that does not matter
}

// placeOf is where the subscription handles a message.
func (b *Bus) placeOf(ctx context.Context, s *subscription, m driver.Message) (choice, error) {
	home := b.all()[0]
	if s.choose == nil {
		return choice{place: home}, nil
	}
	ctx, history := inshard.Asking(ctx)
	db, err := s.choose(ctx, m.Payload)
	switch {
	case err != nil && away(err):
		return choice{}, err
	case err != nil:
		return choice{place: home, doubt: DeadLetter(err.Error()), stayed: true}, nil
	}
	if p := b.place(db); p != nil {
		return choice{place: p, stayed: history.NeverMoved()}, nil
	}
	return choice{place: home, doubt: DeadLetter("the bus does not know the database that was chosen for it"), stayed: true}, nil
}

// errBusy: somebody is trying an event that comes before this one.
var errBusy = errors.New("an earlier event with its key is being tried in another database")

// moveAll hands over all that waits here with a key, in its order.
func (p *place) moveAll(ctx context.Context, s *subscription, key string, to *place) error {
	all, err := p.rows(ctx, `WHERE consumer_group = ? AND topic = ? AND event_key = ? ORDER BY seq`, s.group, s.topic, key)
	for _, w := range all {
		var moved bool
		if moved, err = p.move(ctx, s, w, to); err == nil && !moved {
			err = errBusy
		}
		if err != nil {
			break
		}
	}
	return err
}

// move hands a row that waits here to the place where its event belongs; false:
// somebody else is at it. If the process dies in between, it is moved again, and the
// inbox there knows it. One goes at a time: two that cross would each hold what the
// other waits for, where a database has but one writer or all connections are taken.
func (p *place) move(ctx context.Context, s *subscription, w *waiting, to *place) (mine bool, err error) {
	select {
	case p.moving <- struct{}{}:
		defer func() { <-p.moving }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	err = p.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if mine, err = w.lock(ctx, tx); err != nil || !mine {
			return err
		}
		err := to.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
			fresh, err := accept(ctx, tx, s.group, w.message.ID)
			if err != nil || !fresh {
				return err
			}
			return park(ctx, tx, s, w.message, w.attempts, time.Now(), "belongs here")
		})
		if err != nil {
			return err
		}
		// The event may come back to this place.
		_, err = tx.Exec(ctx, `DELETE FROM warren_inbox WHERE consumer_group = ? AND message_id = ?`, s.group, w.message.ID)
		return errors.Join(err, w.remove(ctx, tx))
	})
	if err == nil && mine {
		wake(to.waker(s))
	}
	return mine, err
}
