package coordinator

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
)

// TestBatchesDoNotReadTheWholeTable begins with empty tables, for which reading all
// of it would be the best way to find a transaction, and fills them: what was planned
// then must not stay.
func TestBatchesDoNotReadTheWholeTable(t *testing.T) {
	address := storetest.PostgreSQL(t)
	db, err := store.Open(t.Context(), address, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context(), Migrations); err != nil {
		t.Fatal(err)
	}
	e, err := New(Options{DB: db, Conn: blind{newPeople()}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	const clients, each = 16, 80
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			for i := range each {
				v, err := (&service{engine: e}).Submit(t.Context(), &txnv1.SubmitRequest{Saga: chain(fmt.Sprintf("saga-%d-%d", c, i), "a", "b"), Wait: true})
				if err != nil || v.GetState() != txnv1.State_STATE_SUCCEEDED {
					t.Errorf("saga: %v, %v", v, err)
				}
			}
		})
	}
	all.Wait()
	if err := e.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	// The server counts what a connection did a second later, or when that is closed.
	_ = db.Close()
	if db, err = store.Open(t.Context(), address, store.Options{}); err != nil {
		t.Fatal(err)
	}
	const sagas = clients * each
	var created, read int64
	for end := time.Now().Add(time.Minute); created < sagas && time.Now().Before(end); {
		if err := db.QueryRow(t.Context(), `SELECT n_tup_ins, seq_tup_read FROM pg_stat_user_tables WHERE relname = 'warren_txn'`).Scan(&created, &read); err != nil {
			t.Fatal(err)
		}
	}
	if created != sagas || read > 10*sagas {
		t.Errorf("%d transactions were created, and %d rows read one after the other to find them", created, read)
	}
	t.Logf("%d transactions, %d rows read", created, read)
}

func TestStatementIsPlannedAnewAsTheTableGrows(t *testing.T) {
	var p plans
	texts := map[string]bool{}
	for range 1 << 20 {
		texts[p.text(usual, 1)] = true
	}
	if len(texts) != 4 {
		t.Errorf("a million transactions were created by %d statements, 4 wanted", len(texts))
	}
	if one, next := p.text(usual, 0), p.text(usual, 0); one != next {
		t.Error("the statement is another one though nothing was created")
	}
}
