package eventstest

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/gowarren/warren/events"
	pb "github.com/gowarren/warren/events/internal/testpb/eventstest/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
)

// benchmarkKeys is over how many keys the events of a benchmark are spread.
const benchmarkKeys = 100

// BenchmarkRelay measures how fast an outbox that has filled is carried to the
// broker, confirmations and notes included. The benchmarks are for PostgreSQL, too,
// so that what the broker can do is told from what the database can.
func BenchmarkRelay(b *testing.B, start func(testing.TB) Harness) { eachDatabase(b, start, relays) }

// BenchmarkConsume measures how fast a group handles what the broker has for it:
// each event in a transaction with its inbox and one row of the handler's.
func BenchmarkConsume(b *testing.B, start func(testing.TB) Harness) {
	eachDatabase(b, start, consumes)
}

func eachDatabase(b *testing.B, start func(testing.TB) Harness, measure func(*testing.B, *meter)) {
	for name, database := range map[string]func(testing.TB) string{"sqlite": storetest.SQLite, "postgres": storetest.PostgreSQL} {
		b.Run(name, func(b *testing.B) { measure(b, newMeter(b, start(b), database(b))) })
	}
}

func relays(b *testing.B, m *meter) {
	m.bus(b, "bank")
	m.publish(b)
	bus := m.bus(b, "bank")
	b.ResetTimer()
	stop := m.run(b, bus)
	m.await(b, `SELECT COUNT(*) FROM warren_outbox WHERE state = 0`, 0)
	b.StopTimer()
	stop()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func consumes(b *testing.B, m *meter) {
	// The group is known to the broker before the events are.
	first := m.bus(b, "ledger")
	m.handle(b, first)
	stop := m.run(b, first)
	for n := 0; n == 0; n = m.count(b, `SELECT COUNT(*) FROM effects`) {
		m.insert(b, 1, "probe")
		m.wait(b)
	}
	m.await(b, `SELECT COUNT(*) FROM warren_outbox WHERE state = 0`, 0)
	stop()
	m.publish(b)
	relay := m.bus(b, "ledger")
	stop = m.run(b, relay)
	m.await(b, `SELECT COUNT(*) FROM warren_outbox WHERE state = 0`, 0)
	stop()
	bus := m.bus(b, "ledger")
	m.handle(b, bus)
	b.ResetTimer()
	stop = m.run(b, bus)
	m.await(b, `SELECT COUNT(*) FROM effects WHERE account <> 'probe'`, b.N)
	b.StopTimer()
	stop()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// meter is what benchmarks work on.
type meter struct {
	h  Harness
	db *store.DB
}

func newMeter(b *testing.B, h Harness, address string) *meter {
	db, err := store.Open(context.Background(), address, store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	if err := events.Migrate(b.Context(), db); err != nil {
		b.Fatal(err)
	}
	if _, err := db.Exec(b.Context(), schema); err != nil {
		b.Fatal(err)
	}
	return &meter{h, db}
}

// bus is one more process.
func (m *meter) bus(b *testing.B, service string) *events.Bus {
	bus := events.New(m.h.Open(b).Driver, m.db, events.Options{Service: service, Logger: slog.New(slog.DiscardHandler)})
	b.Cleanup(func() { _ = bus.Close() })
	return bus
}

type benchmarked struct{ bus *events.Bus }

func (p benchmarked) Events() *events.Bus { return p.bus }

func (m *meter) handle(b *testing.B, bus *events.Bus) {
	err := events.Subscribe(benchmarked{bus}, func(ctx context.Context, tx *store.Tx, e *pb.Moved) error {
		_, err := tx.Exec(ctx, `INSERT INTO effects (position, handler, account, number, attempt) VALUES (0, '', ?, ?, 1)`, e.GetAccount(), e.GetNumber())
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}

func (m *meter) run(b *testing.B, bus *events.Bus) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- bus.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	b.Cleanup(stop)
	return stop
}

// publish fills the outbox, which nobody relays yet, with as many events as the
// benchmark asks for.
func (m *meter) publish(b *testing.B) {
	for left := b.N; left > 0; left -= 500 {
		m.insert(b, min(left, 500), "")
	}
}

// insert publishes events for an account, or for many.
func (m *meter) insert(b *testing.B, n int, account string) {
	err := m.db.InTx(b.Context(), func(ctx context.Context, tx *store.Tx) error {
		for i := range n {
			if err := events.Publish(ctx, tx, &pb.Moved{Account: cmp.Or(account, fmt.Sprint("account ", i%benchmarkKeys)), Number: int64(i)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

func (m *meter) count(b *testing.B, query string) (n int) {
	if err := m.db.QueryRow(b.Context(), query).Scan(&n); err != nil {
		b.Fatal(err)
	}
	return n
}

func (m *meter) await(b *testing.B, query string, n int) {
	for m.count(b, query) != n {
		m.wait(b)
	}
}

func (m *meter) wait(b *testing.B) {
	select {
	case <-time.After(2 * time.Millisecond):
	case <-b.Context().Done():
		b.Fatal(b.Context().Err())
	}
}
