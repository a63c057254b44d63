package events_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gowarren/warren/events"
	"github.com/gowarren/warren/events/driver"
	"github.com/gowarren/warren/events/eventstest"
	eventstestv1 "github.com/gowarren/warren/events/internal/testpb/eventstest/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/shards"
	"github.com/gowarren/warren/store/storetest"
)

const ofShards = `CREATE TABLE effects (id VARCHAR(26) NOT NULL PRIMARY KEY, shard BIGINT NOT NULL, position BIGINT NOT NULL,
	account VARCHAR(64) NOT NULL, number BIGINT NOT NULL);
	CREATE INDEX effects_shard ON effects (shard, id);`

// recorder keeps what was handed to the broker.
type recorder struct {
	driver.Driver
	mu  sync.Mutex
	all []driver.Message
}

func (r *recorder) Publish(ctx context.Context, batch []driver.Message) []error {
	r.mu.Lock()
	r.all = append(r.all, batch...)
	r.mu.Unlock()
	return r.Driver.Publish(ctx, batch)
}

// sharded is a service whose handlers work in shards.
type sharded struct {
	all      *shards.Shards
	bus      *events.Bus
	sent     *recorder
	metrics  *prometheus.Registry
	joined   atomic.Int64
	position atomic.Int64
}

func (s *sharded) Events() *events.Bus { return s.bus }

func newSharded(t *testing.T, urls []string) *sharded {
	t.Helper()
	s := &sharded{sent: &recorder{Driver: eventstest.NewHub().Open()}, metrics: prometheus.NewRegistry()}
	var err error
	s.all, err = shards.Open(t.Context(), urls, shards.Options{
		Migrations: fstest.MapFS{"0001_effects.sql": {Data: []byte(ofShards)}},
		Tables:     []shards.Table{{Name: "effects", Shard: "shard", Key: []string{"id"}}},
		Shards:     4,
		Opened: func(db *store.DB) {
			if s.bus != nil {
				s.joined.Add(1)
				s.bus.AddDatabase(db)
			}
		},
		BeforeSwitch: func(ctx context.Context, _ int, from, _ *store.DB) error { return s.bus.Drained(ctx, from) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.all.Close() })
	dbs := s.all.Databases()
	s.bus = events.New(s.sent, dbs[0], events.Options{Service: "s", Logger: slog.New(slog.DiscardHandler), Metrics: s.metrics})
	for _, db := range dbs[1:] {
		s.bus.AddDatabase(db)
	}
	return s
}

// write is what a handler does: in its shard, with the handling's context.
func (s *sharded) write(ctx context.Context, _ *store.Tx, e *eventstestv1.Moved) error {
	shard := s.all.Of(e.GetAccount())
	return s.all.InTx(ctx, shard, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO effects (id, shard, position, account, number) VALUES (?, ?, ?, ?, ?)`,
			rand.Text(), shard, s.position.Add(1), e.GetAccount(), e.GetNumber())
		if err != nil {
			return err
		}
		return events.Publish(ctx, tx, &eventstestv1.Seen{Number: e.GetNumber()})
	})
}

func (s *sharded) where(ctx context.Context, e *eventstestv1.Moved) (*store.DB, error) {
	return s.all.Database(ctx, s.all.Of(e.GetAccount()))
}

func (s *sharded) publish(t *testing.T, account string, from, to int64) {
	t.Helper()
	for n := from; n < to; n++ {
		err := s.all.InTx(t.Context(), s.all.Of(account), func(ctx context.Context, tx *store.Tx) error {
			return events.Publish(ctx, tx, &eventstestv1.Moved{Account: account, Number: n})
		})
		if err != nil {
			t.Error(err)
			return
		}
	}
}

// effects are those of an account, as they happened.
func (s *sharded) effects(t *testing.T, account string) (out []int64) {
	t.Helper()
	err := s.all.InTx(t.Context(), s.all.Of(account), func(ctx context.Context, tx *store.Tx) error {
		out = nil
		rows, err := tx.Query(ctx, `SELECT number FROM effects WHERE account = ? ORDER BY position`, account)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var n int64
			if err := rows.Scan(&n); err != nil {
				return err
			}
			out = append(out, n)
		}
		return rows.Err()
	}, store.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestShards handles events in the shards of their keys, with transactions of the
// shard inside the handler, while shards move to a database that joins meanwhile:
// every event takes effect once and in order, also when it comes again where its
// shard is now.
func TestShards(t *testing.T) {
	for name, fresh := range map[string]func(testing.TB) string{
		"sqlite": storetest.SQLite, "postgres": storetest.PostgreSQL, "mysql": storetest.MySQL,
	} {
		t.Run(name, func(t *testing.T) { moveWhileEventsFlow(t, []string{fresh(t), fresh(t)}, fresh(t)) })
	}
}

func moveWhileEventsFlow(t *testing.T, urls []string, joins string) {
	s := newSharded(t, urls)
	if err := events.Subscribe(s, s.write, events.WithDatabase(s.where)); err != nil {
		t.Fatal(err)
	}
	run(t, s.bus)
	accounts := []string{"ada", "bob", "cy", "dan", "eve"}
	const each = 60
	var publishing sync.WaitGroup
	for _, account := range accounts {
		publishing.Go(func() { s.publish(t, account, 0, each/2) })
	}
	for shard := range 4 {
		if err := s.all.Move(t.Context(), shard, joins, nil); err != nil {
			t.Fatal(err)
		}
	}
	publishing.Wait()
	if s.joined.Load() != 1 {
		t.Errorf("%d databases joined, want 1", s.joined.Load())
	}
	for _, account := range accounts {
		s.publish(t, account, each/2, each)
	}
	want := make([]int64, each)
	for n := range want {
		want[n] = int64(n)
	}
	check := func() {
		t.Helper()
		for _, account := range accounts {
			eventually(t, "all events of "+account, func() bool { return len(s.effects(t, account)) >= each })
			if got := s.effects(t, account); !slices.Equal(got, want) {
				t.Errorf("effects of %s: %v", account, got)
			}
		}
	}
	check()

	before := counted(t, s.metrics, "warren_events_duplicates_total", "")
	again := s.sent.again(t)
	eventually(t, "all repetitions are dropped", func() bool {
		return counted(t, s.metrics, "warren_events_duplicates_total", "")-before >= again
	})
	check()
}

// again hands everything to the broker once more, and returns how much that was.
func (r *recorder) again(t *testing.T) int {
	t.Helper()
	r.mu.Lock()
	all := slices.DeleteFunc(slices.Clone(r.all), func(m driver.Message) bool { return m.Topic != "eventstest.v1.Moved" })
	r.mu.Unlock()
	for batch := range slices.Chunk(all, 1) {
		for _, err := range r.Publish(t.Context(), batch) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return len(all)
}

// counted is the sum of a metric, over all labels or those with one value.
func counted(t *testing.T, metrics *prometheus.Registry, name, label string) (n int) {
	t.Helper()
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				n += int(m.GetCounter().GetValue())
			}
		}
	}
	return n
}
