package coordinator

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
)

// BenchmarkSagas is sagas of two branches, submitted and waited for by 64 clients
// at once; those who take part answer at once, in this process.
func BenchmarkSagas(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { sagas(b, storetest.SQLite(b)+"?synchronous=full") })
	b.Run("postgres", func(b *testing.B) { sagas(b, storetest.PostgreSQL(b)) })
	b.Run("mysql", func(b *testing.B) { sagas(b, storetest.MySQL(b)) })
}

func sagas(b *testing.B, address string) {
	db, err := store.Open(b.Context(), address, store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	if err := db.Migrate(b.Context(), Migrations); err != nil {
		b.Fatal(err)
	}
	people := newPeople()
	e, err := New(Options{DB: db, Conn: blind{people}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	if err := e.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	s := &service{engine: e}
	const clients = 64
	var next atomic.Int64
	took := make([][]time.Duration, clients)
	b.ResetTimer()
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					return
				}
				began := time.Now()
				v, err := s.Submit(b.Context(), &txnv1.SubmitRequest{Saga: chain(fmt.Sprintf("saga-%d", i), "a", "b"), Wait: true})
				if err != nil || v.GetState() != txnv1.State_STATE_SUCCEEDED {
					b.Errorf("saga: %v, %v", v, err)
					return
				}
				took[c] = append(took[c], time.Since(began))
			}
		})
	}
	all.Wait()
	b.StopTimer()
	report(b, took)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := e.Drain(ctx); err != nil {
		b.Error(err)
	}
	_ = db.Close()
}

func report(b *testing.B, took [][]time.Duration) {
	var all []time.Duration
	for _, list := range took {
		all = append(all, list...)
	}
	slices.Sort(all)
	b.ReportMetric(float64(len(all))/b.Elapsed().Seconds(), "sagas/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
}
