package eventstest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren/events"
	"github.com/gowarren/warren/events/driver"
	pb "github.com/gowarren/warren/events/internal/testpb/eventstest/v1"
	"github.com/gowarren/warren/store"
)

// onceAndInOrder: what is committed arrives once, what is not never, and each
// account's events keep their order over two processes that share the work.
func onceAndInOrder(t *testing.T, b *bench) {
	one, two := b.process(processOptions{}), b.process(processOptions{})
	one.handle("ledger", nil)
	two.handle("ledger", nil)
	one.run()
	two.run()
	one.began("ledger")
	accounts := []string{"a", "b", "c", "d", "e"}
	var publishers sync.WaitGroup
	for i, account := range accounts {
		publishers.Go(func() { []*process{one, two}[i%2].publish(account, 1, 20) })
	}
	publishers.Wait()
	one.exactly("ledger", 20, accounts...)
	if one.metric("messaging_client_sent_messages_total")+two.metric("messaging_client_sent_messages_total") < 100 {
		t.Error("the metrics do not tell how much was sent")
	}
	if one.metric("messaging_process_duration_seconds")+two.metric("messaging_process_duration_seconds") < 100 {
		t.Error("the metrics do not tell how much was handled")
	}
}

// unordered: events without a key are handled side by side.
func unordered(t *testing.T, b *bench) {
	p := b.process(processOptions{})
	var running atomic.Int64
	together := make(chan struct{})
	p.must(events.Subscribe(p, func(ctx context.Context, tx *store.Tx, e *pb.Seen) error {
		if e.GetNumber() == 0 { // a probe
			return p.effect(ctx, tx, "seen", "probe", 0)
		}
		if running.Add(1) == 3 {
			close(together)
		}
		select {
		case <-together:
		case <-time.After(patience):
			return errors.New("they are not handled at the same time")
		}
		return nil
	}, events.WithConcurrency(4)))
	p.run()
	publish := func(n int64) {
		p.must(p.db.InTx(p.Context(), func(ctx context.Context, tx *store.Tx) error {
			return events.Publish(ctx, tx, &pb.Seen{Number: n})
		}))
	}
	p.eventually("the group gets events", func() bool {
		publish(0)
		return len(p.numbers(p.db, "seen", "probe")) > 0
	})
	if p.db.Dialect() == store.SQLite {
		return // there, transactions that write are alone
	}
	for n := range int64(3) {
		publish(n + 1)
	}
	select {
	case <-together:
	case <-time.After(patience):
		t.Error("three events were never handled at the same time")
	}
}

// twoGroups: each group gets every event, in one database or in two.
func twoGroups(t *testing.T, b *bench) {
	one := b.process(processOptions{})
	one.handle("ledger", nil)
	one.handle("audit", nil)
	other := b.process(processOptions{service: "mail", address: b.h.Database(b)})
	other.handle("mail", nil)
	one.run()
	other.run()
	one.began("ledger", "audit")
	b.eventually("mail gets events", func() bool {
		one.began("ledger")
		one.publish("ping", 1, 1)
		return len(b.numbers(other.db, "mail", "ping")) > 0
	})
	one.publish("a", 1, 10)
	one.exactly("ledger", 10, "a")
	one.exactly("audit", 10, "a")
	other.exactly("mail", 10, "a")
	err := events.Subscribe(one, func(context.Context, *store.Tx, *pb.Moved) error { return nil }, events.WithGroup("ledger"))
	if err == nil || !strings.Contains(err.Error(), "has a handler already") {
		t.Errorf("a second handler of a group: %v", err)
	}
}

// headers: what comes with an event arrives with it, and a payload of any bytes.
func headers(t *testing.T, b *bench) {
	p := b.process(processOptions{service: "bank"})
	got := make(chan events.Message, 100)
	padding := string([]byte{0, 255, 128, '\n'})
	p.must(events.Subscribe(p, func(ctx context.Context, tx *store.Tx, e *pb.Moved) error {
		m, _ := events.FromContext(ctx)
		if e.GetAccount() == "a" {
			if string(e.GetPadding()) != padding {
				t.Errorf("payload arrived as %q", e.GetPadding())
			}
			got <- m
		}
		return p.effect(ctx, tx, "bank", e.GetAccount(), e.GetNumber())
	}))
	p.run()
	p.began("bank")
	before := time.Now().Add(-time.Minute)
	p.must(p.db.InTx(p.Context(), func(ctx context.Context, tx *store.Tx) error {
		return events.Publish(ctx, tx, &pb.Moved{Account: "a", Padding: []byte(padding)},
			events.WithKey("ключ/*.> x"), events.WithHeader("reason", "ünïcödé: \"a,b\""))
	}))
	select {
	case m := <-got:
		if m.ID == "" || m.Topic != "eventstest.v1.Moved" || m.Key != "ключ/*.> x" || m.Group != "bank" || m.Attempt != 1 ||
			m.Published.Before(before) || m.Headers["source"] != "bank" || m.Headers["reason"] != "ünïcödé: \"a,b\"" {
			t.Errorf("the message arrived as %+v", m)
		}
	case <-time.After(patience):
		t.Fatal("the event did not arrive")
	}
	for name, err := range map[string]error{
		"lacks the option":   p.try(&pb.Place{}),
		"lower-case letters": p.try(&pb.Moved{}, events.WithHeader("Bad Name", "x")),
		"200 are the most":   p.try(&pb.Moved{Account: strings.Repeat("x", 201)}),
	} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v; want %q", err, name)
		}
	}
}

// outcomes: each thing that a handler can say, and its writes with it.
func outcomes(t *testing.T, b *bench) {
	p := b.process(processOptions{settings: []string{"events.attempts", "3"}})
	var mu sync.Mutex
	calls := map[string]int{}
	p.handle("ledger", func(ctx context.Context, e *pb.Moved) error {
		mu.Lock()
		calls[e.GetAccount()]++
		n := calls[e.GetAccount()]
		mu.Unlock()
		switch e.GetAccount() {
		case "fails-twice":
			if n < 3 {
				return errors.New("not yet")
			}
		case "panics":
			if n < 2 {
				panic("ouch")
			}
		case "later":
			if n < 6 { // more often than attempts: it doesn't count
				return fmt.Errorf("busy: %w", events.RetryAfter(time.Millisecond))
			}
		case "skips":
			return fmt.Errorf("not mine: %w", events.Skip)
		case "dies":
			return fmt.Errorf("hopeless: %w", events.DeadLetter("no such account"))
		}
		return nil
	})
	p.run()
	p.began("ledger")
	for _, account := range []string{"done", "fails-twice", "panics", "later", "skips", "dies"} {
		p.publish(account, 1, 1)
	}
	p.exactly("ledger", 1, "done", "fails-twice", "panics", "later")
	p.exactly("ledger", 0, "skips", "dies")
	all, err := p.bus.Letters().List(p.Context(), events.Filter{})
	p.must(err)
	if len(all) != 1 || all[0].Reason != "no such account" || all[0].Key != "dies" || all[0].Attempt != 1 || !strings.Contains(all[0].Handler, "eventstest") {
		t.Errorf("dead letters are %+v; want the one that died", all)
	}
	mu.Lock()
	defer mu.Unlock()
	if calls["skips"] != 1 || calls["dies"] != 1 || calls["later"] != 6 || calls["fails-twice"] != 3 {
		t.Errorf("handlers were called %v", calls)
	}
}

// poison: one event fails for ever. Others go on, those of its key wait for its
// end and then go on in their order.
func poison(t *testing.T, b *bench) {
	p := b.process(processOptions{settings: []string{"events.attempts", "4"}})
	var tried atomic.Int64
	p.handle("ledger", func(_ context.Context, e *pb.Moved) error {
		if e.GetAccount() == "a" && e.GetNumber() == 2 {
			tried.Add(1)
			return errors.New("poison")
		}
		return nil
	})
	p.run()
	p.began("ledger")
	p.publish("a", 1, 6)
	p.publish("b", 1, 6)
	p.exactly("ledger", 6, "b")
	b.eventually("the others of the key went on", func() bool { return len(b.numbers(p.db, "ledger", "a")) == 5 })
	if got := fmt.Sprint(b.numbers(p.db, "ledger", "a")); got != "[1 3 4 5 6]" || tried.Load() != 4 {
		t.Errorf("effects are %s after %d attempts; want those behind it, in order, after 4", got, tried.Load())
	}
}

// letters: what died is looked at, edited, replayed and dropped, once each.
func letters(t *testing.T, b *bench) {
	p := b.process(processOptions{settings: []string{"events.attempts", "1"}})
	var mended atomic.Bool
	p.handle("ledger", func(_ context.Context, e *pb.Moved) error {
		if e.GetAccount() != "probe" && !mended.Load() {
			return fmt.Errorf("no account %s", e.GetAccount())
		}
		return nil
	})
	p.run()
	p.began("ledger")
	for _, account := range []string{"a", "b", "c", "d", "e"} {
		p.publish(account, 1, 1)
	}
	list := func(f events.Filter) []events.Letter {
		found, err := p.bus.Letters().List(p.Context(), f)
		p.must(err)
		return found
	}
	b.eventually("all are dead", func() bool { return len(list(events.Filter{})) == 5 })
	admin, ctx := p.bus.Letters(), p.Context()
	only := list(events.Filter{Reason: "account a"})
	if len(only) != 1 || len(list(events.Filter{Reason: "account %"})) != 0 ||
		len(list(events.Filter{Key: "b", Topic: "eventstest.v1.Moved", Group: "ledger"})) != 1 {
		t.Fatalf("filters chose %+v", only)
	}
	id := only[0].LetterID
	text, err := only[0].JSON()
	if err != nil || !strings.Contains(string(text), `"a"`) {
		t.Errorf("the letter reads %s, %v", text, err)
	}
	// It dies again, and is the same letter; edited, it is another account's.
	if n, err := admin.Replay(ctx, events.Filter{LetterID: id}, "ada", "once more"); n != 1 || err != nil {
		t.Fatalf("replayed %d, %v", n, err)
	}
	b.eventually("it died again", func() bool { return len(list(events.Filter{LetterID: id})) == 1 })
	p.must(admin.Edit(ctx, id, []byte(`{"account": "z", "number": "1"}`), "ada", "it is z's"))
	if err := admin.Edit(ctx, id, []byte(`{"nothing": 1}`), "ada", "x"); err == nil {
		t.Error("an event of another form was taken")
	}
	mended.Store(true)
	if n, err := admin.Replay(ctx, events.Filter{LetterID: id}, "ada", "mended"); n != 1 || err != nil {
		t.Fatalf("replayed %d, %v", n, err)
	}
	if n, err := admin.Replay(ctx, events.Filter{LetterID: id}, "bob", "me too"); n != 0 || !errors.Is(err, events.ErrNoLetter) {
		t.Errorf("a second replay: %d, %v", n, err)
	}
	p.exactly("ledger", 1, "z")
	if n, err := admin.Drop(ctx, events.Filter{Key: "b"}, "ada", ""); n != 0 || err == nil {
		t.Errorf("dropped %d without a reason, %v", n, err)
	}
	if n, err := admin.Drop(ctx, events.Filter{Key: "b"}, "ada", "nobody's"); n != 1 || err != nil {
		t.Errorf("dropped %d, %v", n, err)
	}
	if n, err := admin.Replay(ctx, events.Filter{}, "ada", "all of them"); n != 3 || err != nil {
		t.Errorf("replayed %d, %v; want the 3 that are left", n, err)
	}
	p.exactly("ledger", 1, "c", "d", "e")
	p.exactly("ledger", 0, "a", "b")
	letter, err := admin.Get(ctx, id)
	p.must(err)
	var story []string
	for _, a := range letter.Actions {
		story = append(story, a.Name+" by "+a.Author+": "+a.Reason)
	}
	if got := strings.Join(story, "; "); got != "replay by ada: once more; edit by ada: it is z's; replay by ada: mended" || letter.State != "replayed" {
		t.Errorf("the letter's story is %s, %s", got, letter.State)
	}
	if _, err := admin.Get(ctx, "none"); !errors.Is(err, events.ErrNoLetter) {
		t.Errorf("got %v; want ErrNoLetter", err)
	}
}

// unreadable: payloads that are none, and types that nobody knows, die at once and
// stop nobody. A field that this program doesn't know is kept.
func unreadable(t *testing.T, b *bench) {
	p := b.process(processOptions{})
	p.handle("ledger", func(_ context.Context, e *pb.Moved) error {
		if e.GetAccount() == "newer" {
			return events.DeadLetter("look at it")
		}
		return nil
	})
	p.run()
	p.began("ledger")
	newer := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), []byte("newer"))
	newer = protowire.AppendBytes(protowire.AppendTag(newer, 99, protowire.BytesType), []byte("from the future"))
	conn := b.h.Open(t)
	defer conn.Close()
	b.eventually("the broker takes them", func() bool {
		errs := conn.Publish(t.Context(), []driver.Message{
			{ID: "broken", Topic: "eventstest.v1.Moved", Key: "x", Published: time.Now(), Payload: []byte("\xff\xffno message")},
			{ID: "other", Topic: "eventstest.v1.Moved", Key: "y", Published: time.Now(), Headers: map[string]string{"type": "other.v1.Type"}},
			{ID: "newer", Topic: "eventstest.v1.Moved", Key: "z", Published: time.Now(), Payload: newer},
			{ID: "bare", Topic: "eventstest.v1.Moved"},
		})
		return errors.Join(errs...) == nil
	})
	p.publish("a", 1, 5)
	p.exactly("ledger", 5, "a")
	found := map[string]events.Letter{}
	b.eventually("three are dead", func() bool {
		list, err := p.bus.Letters().List(p.Context(), events.Filter{})
		p.must(err)
		for _, l := range list {
			found[l.ID] = l
		}
		return len(found) == 3
	})
	if !strings.Contains(found["broken"].Reason, "payload is no") || !strings.Contains(found["other"].Reason, "other.v1.Type") {
		t.Errorf("dead letters are %+v", found)
	}
	letter := found["newer"]
	p.must(p.bus.Letters().Edit(t.Context(), letter.LetterID, []byte(`{"account": "changed"}`), "ada", "a test"))
	letter, err := p.bus.Letters().Get(t.Context(), letter.LetterID)
	p.must(err)
	if !strings.Contains(string(letter.Payload), "from the future") || !strings.Contains(string(letter.Payload), "changed") {
		t.Errorf("after an edit the payload is %q", letter.Payload)
	}
}

// refused: an event that the broker never takes is a dead letter of its publisher,
// and stops neither others nor those of its key.
func refused(t *testing.T, b *bench) {
	p := b.process(processOptions{})
	p.handle("ledger", nil)
	p.run()
	p.began("ledger")
	var most int
	func() {
		conn := b.h.Open(t)
		defer conn.Close()
		b.eventually("the broker says what it takes", func() bool {
			_ = conn.Publish(t.Context(), nil)
			most = conn.Capabilities().MaxSize
			return most > 0
		})
	}()
	p.publish("a", 1, 3)
	p.must(p.db.InTx(p.Context(), func(ctx context.Context, tx *store.Tx) error {
		return events.Publish(ctx, tx, &pb.Moved{Account: "a", Number: 100, Padding: make([]byte, most+1)})
	}))
	p.publish("a", 4, 6)
	p.exactly("ledger", 6, "a")
	list, err := p.bus.Letters().List(p.Context(), events.Filter{})
	p.must(err)
	if len(list) != 1 || list[0].Group != "" || list[0].Key != "a" {
		t.Errorf("dead letters are %d; want the one that is too large", len(list))
	}
}

// try publishes in a transaction of its own.
func (p *process) try(msg proto.Message, opts ...events.PublishOption) error {
	return p.db.InTx(p.Context(), func(ctx context.Context, tx *store.Tx) error { return events.Publish(ctx, tx, msg, opts...) })
}
