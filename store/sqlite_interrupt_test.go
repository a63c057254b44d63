package store

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"
)

// TestGuardInterruptsUntilReleased: one interrupt can be forgotten, so they go
// on until the call has returned, and none comes after that.
func TestGuardInterruptsUntilReleased(t *testing.T) {
	calls := make(chan struct{}, 1000)
	c := &conn{interrupt: func() { calls <- struct{}{} }}
	ctx, cancel := context.WithCancel(t.Context())
	release := c.guard(ctx)
	cancel()
	for range 3 {
		<-calls
	}
	release()
	after := len(calls)
	c.guard(t.Context())() // a call that is not cancelled is left alone
	if len(calls) != after {
		t.Error("an interrupt came after the release")
	}
}

// TestNoCancellationIsLost ends contexts at all moments of a query's start:
// none may leave a query that runs for ever. The moment that SQLite forgets is
// rare, so this alone proves little; see TestGuardInterruptsUntilReleased.
func TestNoCancellationIsLost(t *testing.T) {
	db, err := Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "x.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const endless = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000) SELECT COUNT(*) FROM n`
	for i := range 300 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*time.Microsecond)
		var n int
		err := db.QueryRow(ctx, endless).Scan(&n)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("query cancelled after %d µs: %v", i, err)
		}
	}
}
