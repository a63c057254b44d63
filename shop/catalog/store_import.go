package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gowarren/warren/store"
)

// seed inserts the products, and notes the report, if the catalogue is empty
// and never got this seed. All of it takes place or nothing.
func (s *products) seed(ctx context.Context, name string, entries []product, out *report, now time.Time) (seeded bool, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		seeded = false
		// Who inserts this row first holds it until the end of the transaction:
		// that is the lock.
		first, err := tx.Exec(ctx, `INSERT INTO seeds (name, seed_time, rows_read, created, unchanged, refused) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (name) DO NOTHING`, name, now, out.rows, out.created, out.unchanged, out.refused)
		if err != nil || first == 0 {
			return err
		}
		var there int64
		if err := tx.QueryRow(ctx, `SELECT (SELECT COUNT(*) FROM products) + (SELECT COUNT(*) FROM removed_products)`).Scan(&there); err != nil {
			return err
		}
		if there > 0 { // somebody has filled it otherwise: it is theirs
			_, err := tx.Exec(ctx, `UPDATE seeds SET rows_read = 0, created = 0, unchanged = 0, refused = 0 WHERE name = ?`, name)
			return err
		}
		seeded = true
		return plant(ctx, tx, name, entries, out.refusals, now)
	})
	if err != nil {
		return false, fmt.Errorf("seed the catalogue: %w", err)
	}
	return seeded, nil
}

func plant(ctx context.Context, tx *store.Tx, name string, entries []product, refusals []refusal, now time.Time) error {
	for _, p := range entries {
		if err := insertRow(ctx, tx, p.fresh(now)); err != nil {
			return fmt.Errorf("product %s: %w", p.sku, err)
		}
	}
	for _, r := range refusals {
		_, err := tx.Exec(ctx, `INSERT INTO seed_refusals (seed, line, sku, reason, message) VALUES (?, ?, ?, ?, ?)`,
			name, r.line, r.sku, r.reason.String(), r.message)
		if err != nil {
			return fmt.Errorf("refusal of line %d: %w", r.line, err)
		}
	}
	return nil
}

// change is what an import did with one product.
type change int

const (
	unchanged change = iota
	created
	updated
)

// apply brings products to what the rows of an import say: all of them or, with
// an error, none. It returns what it did with each. The codes differ.
func (s *products) apply(ctx context.Context, batch []product, now time.Time) ([]change, error) {
	var done []change
	work := func(ctx context.Context, tx *store.Tx) error {
		done = make([]change, len(batch))
		kept, err := lockedAll(ctx, tx, batch)
		if err != nil {
			return err
		}
		for i, p := range batch {
			if done[i], err = applyOne(ctx, tx, kept[p.sku], p, now); err != nil {
				return fmt.Errorf("product %s: %w", p.sku, err)
			}
		}
		return nil
	}
	err := s.db.InTx(ctx, work)
	// Somebody created one of the products after we had looked. Now it is there.
	for again := 0; errors.Is(err, store.ErrConflict) && again < 3; again++ {
		err = s.db.InTx(ctx, work)
	}
	if err != nil {
		return nil, fmt.Errorf("import products: %w", err)
	}
	return done, nil
}

func applyOne(ctx context.Context, tx *store.Tx, old *product, p product, now time.Time) (change, error) {
	p = p.completed(old)
	if old == nil {
		_, err := insert(ctx, tx, p.fresh(now))
		return created, err
	}
	if old.says(p) {
		return unchanged, nil
	}
	_, err := save(ctx, tx, *old, p, now)
	return updated, err
}

// lockedAll reads those of the products that are there, by code. They are
// locked in the order of their codes, so that two imports don't wait for each
// other.
func lockedAll(ctx context.Context, tx *store.Tx, batch []product) (map[string]*product, error) {
	args := make([]any, len(batch))
	for i, p := range batch {
		args[i] = p.sku
	}
	all, err := store.Collect(ctx, tx, scanProduct,
		`SELECT `+columns+` FROM products WHERE sku IN (?`+strings.Repeat(`, ?`, len(args)-1)+`) ORDER BY sku FOR UPDATE`, args...)
	kept := map[string]*product{}
	for _, p := range all {
		kept[p.sku] = &p
	}
	return kept, err
}
