package eventstest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gowarren/warren/events"
	"github.com/gowarren/warren/events/driver"
	pb "github.com/gowarren/warren/events/internal/testpb/eventstest/v1"
	"github.com/gowarren/warren/store"
)

// brokerAway: publishing goes on while the broker is away, also from a process
// that starts then; afterwards everything arrives, in order.
func brokerAway(t *testing.T, b *bench) {
	p := b.process(processOptions{})
	p.handle("ledger", nil)
	p.run()
	p.began("ledger")
	p.publish("a", 1, 5)
	p.exactly("ledger", 5, "a")
	b.h.Stop(t)
	p.publish("a", 6, 15)
	late := b.process(processOptions{})
	late.run()
	late.publish("b", 1, 10)
	if n := b.count(p.db, `SELECT COUNT(*) FROM warren_outbox WHERE state = 0`); n != 20 {
		t.Errorf("%d events wait; want 20", n)
	}
	b.h.Start(t)
	p.exactly("ledger", 15, "a")
	p.exactly("ledger", 10, "b")
}

// brokerKilled: the broker dies and comes back, again and again, while events are
// published and handled.
func brokerKilled(t *testing.T, b *bench) {
	p, q := b.process(processOptions{}), b.process(processOptions{})
	p.handle("ledger", nil)
	q.handle("ledger", nil)
	p.run()
	q.run()
	p.began("ledger")
	var publishers sync.WaitGroup
	for i, account := range []string{"a", "b", "c"} {
		publishers.Go(func() { []*process{p, q}[i%2].publish(account, 1, 30) })
	}
	for range 2 {
		had := len(b.numbers(p.db, "ledger", "a"))
		b.eventually("it goes on", func() bool { n := len(b.numbers(p.db, "ledger", "a")); return n > had || n == 30 })
		b.h.Stop(t)
		b.h.Start(t)
	}
	publishers.Wait()
	p.exactly("ledger", 30, "a", "b", "c")
}

// connectionCut: the line breaks in the middle of batches, again and again.
func connectionCut(t *testing.T, b *bench) {
	p := b.process(processOptions{settings: []string{"events.relay.batch", "16"}})
	p.handle("ledger", nil)
	p.run()
	p.began("ledger")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, account := range []string{"a", "b"} {
			p.publish(account, 1, 60)
		}
	}()
	for range 4 {
		had := len(b.numbers(p.db, "ledger", "a"))
		b.eventually("it goes on", func() bool { n := len(b.numbers(p.db, "ledger", "a")); return n > had || n == 60 })
		p.net.Cut()
		p.net.Heal()
	}
	<-done
	p.exactly("ledger", 60, "a", "b")
}

// unsure is a driver whose publisher dies between the broker's yes and its note:
// it hears an error for some of what was accepted.
type unsure struct {
	driver.Driver
	batches atomic.Int64
}

func (u *unsure) Publish(ctx context.Context, batch []driver.Message) []error {
	errs := u.Driver.Publish(ctx, batch)
	if u.batches.Add(1)%2 == 1 {
		for i := range errs {
			if i%2 == 0 {
				errs[i] = errors.New("the answer was lost")
			}
		}
	}
	return errs
}

// acceptedNotNoted: the broker has what the outbox doesn't know it has. It is
// published twice and takes effect once.
func acceptedNotNoted(t *testing.T, b *bench) {
	p := b.process(processOptions{wrap: func(d driver.Driver) driver.Driver { return &unsure{Driver: d} }})
	p.handle("ledger", nil)
	p.run()
	p.began("ledger")
	p.publish("a", 1, 20)
	p.publish("b", 1, 20)
	p.exactly("ledger", 20, "a", "b")
}

// forgetful is a driver whose subscriber dies after its commit and before the
// broker knows: every message comes twice at least.
type forgetful struct {
	driver.Driver
	mu   sync.Mutex
	seen map[string]bool
	lost atomic.Int64
}

func (f *forgetful) Subscribe(ctx context.Context, s driver.Subscription, handle func(driver.Message) error) error {
	return f.Driver.Subscribe(ctx, s, func(m driver.Message) error {
		err := handle(m)
		f.mu.Lock()
		defer f.mu.Unlock()
		if err == nil && !f.seen[m.ID] {
			f.seen[m.ID] = true
			f.lost.Add(1)
			return errors.New("the confirmation was lost")
		}
		return err
	})
}

// handledNotConfirmed: what was handled comes again, and is dropped.
func handledNotConfirmed(t *testing.T, b *bench) {
	lossy := &forgetful{seen: map[string]bool{}}
	p := b.process(processOptions{wrap: func(d driver.Driver) driver.Driver { lossy.Driver = d; return lossy }})
	p.handle("ledger", nil)
	p.run()
	p.began("ledger")
	p.publish("a", 1, 10)
	p.publish("b", 1, 10)
	p.exactly("ledger", 10, "a", "b")
	if lossy.lost.Load() < 20 || p.metric("warren_events_duplicates_total") < 20 {
		t.Errorf("%d confirmations were lost, %v repetitions dropped; want 20 and more", lossy.lost.Load(), p.metric("warren_events_duplicates_total"))
	}
}

// slowHandler: a handler takes longer than the broker waits for a sign. Nobody
// else gets the event meanwhile, and others go on.
func slowHandler(t *testing.T, b *bench) {
	p, q := b.process(processOptions{}), b.process(processOptions{})
	var calls atomic.Int64
	for _, each := range []*process{p, q} {
		each.must(events.Subscribe(each, func(ctx context.Context, tx *store.Tx, e *pb.Moved) error {
			if e.GetAccount() == "slow" {
				calls.Add(1)
				select {
				case <-time.After(2500 * time.Millisecond):
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return each.effect(ctx, tx, "ledger", e.GetAccount(), e.GetNumber())
		}, events.WithGroup("ledger")))
		each.run()
	}
	p.began("ledger")
	p.publish("slow", 1, 1)
	p.publish("slow", 2, 2)
	p.exactly("ledger", 2, "slow")
	if calls.Load() != 2 {
		t.Errorf("the handler was called %d times for 2 events", calls.Load())
	}
}

// processesDie: subscribers vanish in the middle of their work without a word to
// the broker, and others go on where they were.
func processesDie(t *testing.T, b *bench) {
	keeper := b.process(processOptions{})
	keeper.run()
	var doomed *process
	for round := range int64(3) {
		next := b.process(processOptions{})
		next.handle("ledger", nil)
		next.run()
		if round == 0 {
			next.began("ledger")
		}
		if doomed != nil {
			doomed.net.Cut()
			doomed.stop()
		}
		keeper.publish("a", round*10+1, round*10+10)
		doomed = next
	}
	doomed.exactly("ledger", 30, "a")
}

// twoRelays: two processes relay one outbox, and neither loses, nor changes the
// order of, what the other has.
func twoRelays(t *testing.T, b *bench) {
	reader := b.process(processOptions{service: "ledger", address: b.h.Database(b)})
	reader.handle("ledger", nil)
	reader.run()
	relays := []*process{
		b.process(processOptions{service: "bank", settings: []string{"events.relay.batch", "7"}}),
		b.process(processOptions{service: "bank", wrap: func(d driver.Driver) driver.Driver { return &unsure{Driver: d} }}),
	}
	for _, p := range relays {
		p.run()
	}
	b.eventually("the reader gets events", func() bool {
		relays[0].publish("probe", 1, 1)
		return len(b.numbers(reader.db, "ledger", "probe")) > 0
	})
	for n := int64(1); n <= 30; n++ {
		for _, account := range []string{"a", "b"} {
			relays[n%2].publish(account, n, n) // in turns: each key is published by both
		}
	}
	reader.exactly("ledger", 30, "a", "b")
}

// longTransaction: a transaction that began first stays open. Others are published
// meanwhile, and it is, too, when it ends.
func longTransaction(t *testing.T, b *bench) {
	p := b.process(processOptions{})
	p.handle("ledger", nil)
	p.run()
	p.began("ledger")
	if p.db.Dialect() == store.SQLite {
		// One transaction writes at a time: nothing can be committed meanwhile.
		p.publish("a", 1, 5)
		p.exactly("ledger", 5, "a")
		return
	}
	p.must(p.db.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		if err := events.Publish(ctx, tx, &pb.Moved{Account: "long", Number: 1}); err != nil {
			return err
		}
		p.publish("a", 1, 10)
		p.exactly("ledger", 10, "a")
		return nil
	}))
	p.exactly("ledger", 1, "long")
}

// lostTail: the broker's machine dies, and with it what it had accepted last and
// not written. It is published again, and takes effect once.
func lostTail(t *testing.T, b *bench) {
	p := b.process(processOptions{})
	p.run()
	p.publish("a", 1, 10)
	sent := func() bool { return b.count(p.db, `SELECT COUNT(*) FROM warren_outbox WHERE state = 0`) == 0 }
	b.eventually("the broker has them", sent)
	b.h.Lose(t, func() {
		p.publish("a", 11, 20)
		b.eventually("the broker has them", sent)
		p.stop() // it comes back only when the broker does
	})
	q := b.process(processOptions{})
	q.handle("ledger", nil)
	q.run()
	q.exactly("ledger", 20, "a")
	if q.metric("warren_outbox_republished_total") < 10 {
		t.Errorf("%v events were published again; want those that were lost", q.metric("warren_outbox_republished_total"))
	}
}
