package store

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"
)

// TestNoCancellationIsLost ends contexts at all moments of a query's start:
// none may leave a query that runs for ever.
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
