package barrier

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gowarren/warren/store"
)

const (
	// purgeSize is how many rows one transaction deletes.
	purgeSize = 500
	// settled is after which time a note of what was to be prepared, and is not,
	// is of no use.
	settled = time.Hour
)

// Run deletes what is kept too long, and reports prepared transactions that
// nobody decides, until the context ends. It never decides one: whether the
// others committed, only the coordinator knows.
func (b *Barrier) Run(ctx context.Context) error {
	for failing := false; ; {
		err := b.tidy(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // what a context cuts off at the end is no fault
		}
		if err != nil && !failing {
			b.logger.WarnContext(ctx, "barrier can't tidy up", "error", err)
		}
		failing = err != nil
		pause := time.NewTimer(b.audit.Get())
		select {
		case <-ctx.Done():
			pause.Stop()
			return nil
		case <-pause.C:
		}
	}
}

func (b *Barrier) tidy(ctx context.Context) error {
	list, err := b.all(ctx)
	for _, db := range list {
		err = errors.Join(err, purge(ctx, db, time.Now().Add(-b.keep.Get())))
	}
	if b.opts.TwoPhase {
		err = errors.Join(err, b.report(ctx, list))
	}
	return err
}

// purge deletes in small transactions.
func purge(ctx context.Context, db *store.DB, before time.Time) error {
	for {
		var edge *int64
		err := db.QueryRow(ctx, fmt.Sprintf(`SELECT MAX(created_at) FROM (SELECT created_at FROM warren_barrier
			WHERE created_at < ? ORDER BY created_at LIMIT %d) w`, purgeSize), before).Scan(&edge)
		if err != nil || edge == nil {
			return err
		}
		if _, err := db.Exec(ctx, `DELETE FROM warren_barrier WHERE created_at <= ?`, *edge); err != nil {
			return fmt.Errorf("delete old rows of the barrier: %w", err)
		}
	}
}

// report tells of the prepared transactions that wait for long.
func (b *Barrier) report(ctx context.Context, list []*store.DB) error {
	waits, err := b.prepared(ctx)
	if err != nil {
		return err
	}
	oldest := time.Duration(0)
	for _, w := range waits {
		age := time.Since(w.since)
		if w.since.IsZero() {
			age = b.orphan.Get() // nobody knows, so it is told
		}
		oldest = max(oldest, age)
		if age >= b.orphan.Get() {
			b.logger.WarnContext(ctx, "prepared transaction waits for its coordinator, and holds its locks",
				"gid", w.gid, "branch", w.branch, "database", w.database, "since", w.since)
		}
	}
	b.metrics.prepared.Set(float64(len(waits)))
	b.metrics.oldest.Set(oldest.Seconds())
	for _, db := range list {
		if err := forgetSettled(ctx, db); err != nil {
			return err
		}
	}
	return nil
}

// forgetSettled deletes the notes of what was to be prepared and is not.
func forgetSettled(ctx context.Context, db *store.DB) error {
	names, err := db.Prepared(ctx)
	if err != nil {
		if errors.Is(err, store.ErrCannotPrepare) {
			err = nil
		}
		return err
	}
	waits := map[string]bool{}
	for _, p := range names {
		waits[p.Name] = true
	}
	rows, err := db.Query(ctx, `SELECT name FROM warren_prepared WHERE created_at < ?`, time.Now().Add(-settled))
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	var gone []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		if !waits[name] {
			gone = append(gone, name)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, name := range gone {
		if _, err := db.Exec(ctx, `DELETE FROM warren_prepared WHERE name = ?`, name); err != nil {
			return err
		}
	}
	return nil
}
