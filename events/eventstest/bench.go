package eventstest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/events"
	"github.com/gowarren/warren/events/driver"
	pb "github.com/gowarren/warren/events/internal/testpb/eventstest/v1"
	"github.com/gowarren/warren/store"
)

// patience is far more than anything here takes.
const patience = 40 * time.Second

// bench is what a part of the suite works on: processes of one service, which
// share a database.
type bench struct {
	*testing.T
	h       Harness
	address string
	db      *store.DB
	// position numbers the effects of all processes as they happen.
	position atomic.Int64
}

const schema = `CREATE TABLE effects (position BIGINT NOT NULL, handler VARCHAR(100) NOT NULL,
	account VARCHAR(100) NOT NULL, number BIGINT NOT NULL, attempt BIGINT NOT NULL);`

func newBench(t *testing.T, h Harness) *bench {
	b := &bench{T: t, h: h, address: h.Database(t)}
	b.db = b.open(b.address)
	return b
}

// open opens a database as one more process, with its tables.
func (b *bench) open(address string) *store.DB {
	b.Helper()
	db, err := store.Open(context.Background(), address, store.Options{})
	b.must(err)
	b.Cleanup(func() { _ = db.Close() })
	b.must(db.Migrate(context.Background(), fstest.MapFS{"0001_effects.sql": &fstest.MapFile{Data: []byte(schema)}}))
	return db
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// eventually waits until the condition holds.
func (b *bench) eventually(what string, holds func() bool) {
	b.Helper()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-deadline:
			b.Fatalf("waited in vain: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// process is one process of a service: a bus over connections of its own.
type process struct {
	*bench
	db      *store.DB
	bus     *events.Bus
	net     Network
	metrics *prometheus.Registry
	stop    func()
}

type processOptions struct {
	service  string
	address  string
	settings []string // names and values
	wrap     func(driver.Driver) driver.Driver
}

// process opens one more process; it does nothing until run.
func (b *bench) process(o processOptions) *process {
	b.Helper()
	if o.service == "" {
		o.service = "ledger"
	}
	if o.address == "" {
		o.address = b.address
	}
	conn := b.h.Open(b)
	d := conn.Driver
	if o.wrap != nil {
		d = o.wrap(d)
	}
	p := &process{bench: b, db: b.open(o.address), net: conn.Network, metrics: prometheus.NewRegistry(), stop: func() {}}
	p.bus = events.New(d, p.db, events.Options{
		Service: o.service, Settings: b.settings(o.settings), Metrics: p.metrics, Logger: slog.New(slog.DiscardHandler),
	})
	b.Cleanup(func() {
		p.stop()
		if err := p.bus.Close(); err != nil && !b.Failed() {
			b.Logf("close: %v", err) // the broker may be away by now
		}
	})
	return p
}

// settings are the suite's, quicker than the defaults, and then those given.
func (b *bench) settings(more []string) *config.Settings {
	b.Helper()
	var layer config.FileLayer
	all := append([]string{"events.backoff", "2ms", "events.backoff_max", "20ms", "events.relay.poll", "100ms", "events.relay.timeout", "3s"}, more...)
	for i := 0; i < len(all); i += 2 {
		layer.Entries = slices.DeleteFunc(layer.Entries, func(e config.FileEntry) bool { return e.Name == all[i] })
		layer.Entries = append(layer.Entries, config.FileEntry{Name: all[i], Value: all[i+1], Position: "test"})
	}
	s, err := config.New(config.Options{File: layer, Definitions: events.Definitions()})
	b.must(err)
	b.Cleanup(s.Close)
	return s
}

// Events implements events.App.
func (p *process) Events() *events.Bus { return p.bus }

// run starts the bus; stop ends it as a process does that is told to.
func (p *process) run() *process {
	p.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.bus.Run(ctx) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			p.Errorf("run: %v", err)
		}
	})
	p.must(p.bus.Ready(p.Context()))
	return p
}

// effect writes down that a handler ran.
func (p *process) effect(ctx context.Context, tx *store.Tx, handler, account string, number int64) error {
	m, _ := events.FromContext(ctx)
	_, err := tx.Exec(ctx, `INSERT INTO effects (position, handler, account, number, attempt) VALUES (?, ?, ?, ?, ?)`,
		p.position.Add(1), handler, account, number, m.Attempt)
	return err
}

// handle subscribes with a handler that writes its effect and then does what is
// given. The group is the name.
func (p *process) handle(name string, then func(ctx context.Context, e *pb.Moved) error) {
	p.Helper()
	p.must(events.Subscribe(p, func(ctx context.Context, tx *store.Tx, e *pb.Moved) error {
		if err := p.effect(ctx, tx, name, e.GetAccount(), e.GetNumber()); err != nil || then == nil {
			return err
		}
		return then(ctx, e)
	}, events.WithGroup(name)))
}

var errRolledBack = errors.New("rolled back on purpose")

// publish commits the events from first to last of an account, each in its own
// transaction, and rolls another one back between them.
func (p *process) publish(account string, first, last int64) {
	p.Helper()
	for n := first; n <= last; n++ {
		p.must(p.db.InTx(p.Context(), func(ctx context.Context, tx *store.Tx) error {
			return events.Publish(ctx, tx, &pb.Moved{Account: account, Number: n})
		}))
		err := p.db.InTx(p.Context(), func(ctx context.Context, tx *store.Tx) error {
			return errors.Join(events.Publish(ctx, tx, &pb.Moved{Account: account, Number: -n}), errRolledBack)
		})
		if !errors.Is(err, errRolledBack) {
			p.Fatal(err)
		}
	}
}

// began waits until the group gets what is published, on brokers where it gets
// nothing that was published before.
func (p *process) began(handlers ...string) {
	p.Helper()
	n := int64(0)
	for _, handler := range handlers {
		p.eventually(handler+" gets events", func() bool {
			n++
			p.must(p.db.InTx(p.Context(), func(ctx context.Context, tx *store.Tx) error {
				return events.Publish(ctx, tx, &pb.Moved{Account: "probe", Number: n})
			}))
			return len(p.numbers(p.db, handler, "probe")) > 0
		})
	}
}

// numbers are the effects of a handler on an account, as they happened.
func (b *bench) numbers(db *store.DB, handler, account string) []int64 {
	b.Helper()
	rows, err := db.Query(b.Context(), `SELECT number FROM effects WHERE handler = ? AND account = ? ORDER BY position`, handler, account)
	b.must(err)
	defer rows.Close()
	var out []int64
	for rows.Next() {
		var n int64
		b.must(rows.Scan(&n))
		out = append(out, n)
	}
	b.must(rows.Err())
	return out
}

func (b *bench) count(db *store.DB, query string, args ...any) int {
	b.Helper()
	var n int
	b.must(db.QueryRow(b.Context(), query, args...).Scan(&n))
	return n
}

// quiet waits until nothing is under way: nothing waits for the broker, nothing
// waits to be tried again, and the broker has nothing left for the groups.
func (p *process) quiet(groups ...string) {
	p.Helper()
	conn := p.h.Open(p)
	defer conn.Close()
	p.eventually("everything is handled", func() bool {
		if p.count(p.db, `SELECT COUNT(*) FROM warren_outbox WHERE state = 0`)+p.count(p.db, `SELECT COUNT(*) FROM warren_retries`) > 0 {
			return false
		}
		for _, group := range groups {
			if lag, err := conn.Lag(p.Context(), "eventstest.v1.Moved", group); err != nil || lag > 0 {
				return false
			}
		}
		return true
	})
}

// exactly checks invariants I6, I7 and I8: each committed event took effect once,
// no other did, and those of an account in their order.
func (p *process) exactly(handler string, last int64, accounts ...string) {
	p.Helper()
	want := make([]int64, last)
	for i := range want {
		want[i] = int64(i + 1)
	}
	for _, account := range accounts {
		p.eventually(fmt.Sprintf("%s has all %d effects of %s", handler, last, account), func() bool {
			return len(p.numbers(p.db, handler, account)) >= int(last)
		})
	}
	p.quiet(handler)
	for _, account := range accounts {
		if got := p.numbers(p.db, handler, account); !slices.Equal(got, want) {
			p.Errorf("%s: effects of %s are %v; want 1 to %d, each once and in order", handler, account, got, last)
		}
	}
}

// metric returns the sum of a metric's values.
func (p *process) metric(name string) float64 {
	p.Helper()
	families, err := p.metrics.Gather()
	p.must(err)
	var sum float64
	for _, family := range families {
		if family.GetName() == name {
			for _, m := range family.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

var _ testing.TB = (*bench)(nil)
