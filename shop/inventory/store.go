package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gowarren/warren/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// stocks are the stock, its movements and the reservations in the database.
//
// Locks are always taken in the same order: first the reservation or the
// return, then the stock by its codes. So nobody waits in a circle.
type stocks struct {
	db *store.DB
}

func newStocks(db *store.DB) *stocks { return &stocks{db: db} }

const stockColumns = `sku, on_hand, reserved, version, told, update_time`

func scanStock(scan func(...any) error) (stock, error) {
	var s stock
	err := scan(&s.sku, &s.onHand, &s.reserved, &s.version, &s.told, &s.updated)
	return s, err
}

// get returns the stock of a product.
func (s *stocks) get(ctx context.Context, sku string) (stock, error) {
	found, err := scanStock(s.db.QueryRow(ctx, `SELECT `+stockColumns+` FROM stock WHERE sku = ?`, sku).Scan)
	if errors.Is(err, store.ErrNoRows) {
		return stock{}, noSuchSKU(sku)
	}
	if err != nil {
		return stock{}, fmt.Errorf("get stock of %s: %w", sku, err)
	}
	return found, nil
}

// list returns the first stock after a code.
func (s *stocks) list(ctx context.Context, after string, limit int) ([]stock, error) {
	list, err := store.Collect(ctx, s.db, scanStock, `SELECT `+stockColumns+` FROM stock WHERE sku > ? ORDER BY sku LIMIT ?`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list stock: %w", err)
	}
	return list, nil
}

// move makes movements, whose products stand in the order of their codes, all
// or none.
func move(ctx context.Context, tx *store.Tx, movements []movement, now time.Time) error {
	if len(movements) == 0 {
		return nil
	}
	before, err := locked(ctx, tx, productsOf(movements))
	if err != nil {
		return err
	}
	after := maps.Clone(before)
	for i := range movements {
		m := &movements[i]
		s, ok := after[m.sku]
		if !ok {
			return noSuchSKU(m.sku)
		}
		if err := s.check(*m); err != nil {
			return err
		}
		s.onHand, s.reserved, s.version = s.onHand+m.onHand, s.reserved+m.reserved, s.version+1
		m.version, m.at = s.version, now
		after[m.sku] = s
	}
	for _, m := range movements {
		if s := after[m.sku]; s.version == m.version { // its last
			if err := save(ctx, tx, before[m.sku].version, s, now); err != nil {
				return err
			}
		}
	}
	return record(ctx, tx, movements)
}

// locked returns the stock of products; nobody else changes it until the
// transaction ends. All are locked by one statement, in the order of their codes.
func locked(ctx context.Context, tx *store.Tx, skus []string) (map[string]stock, error) {
	args := make([]any, len(skus))
	for i, sku := range skus {
		args[i] = sku
	}
	list, err := store.Collect(ctx, tx, scanStock, `SELECT `+stockColumns+` FROM stock WHERE sku IN (?`+strings.Repeat(`, ?`, len(skus)-1)+
		`) ORDER BY sku FOR UPDATE`, args...)
	if err != nil {
		return nil, fmt.Errorf("lock stock: %w", err)
	}
	out := make(map[string]stock, len(list))
	for _, s := range list {
		out[s.sku] = s
	}
	return out, nil
}

// save writes stock that has moved over its older self. The lock says that
// nobody has changed it meanwhile; the version says so too.
func save(ctx context.Context, tx *store.Tx, old int64, s stock, now time.Time) error {
	n, err := tx.Exec(ctx, `UPDATE stock SET on_hand = ?, reserved = ?, version = ?, untold = TRUE, update_time = ?
		WHERE sku = ? AND version = ?`, s.onHand, s.reserved, s.version, now, s.sku, old)
	if err != nil {
		return fmt.Errorf("move stock of %s: %w", s.sku, err)
	}
	if n != 1 {
		return fmt.Errorf("move stock of %s: %w", s.sku, store.ErrBusy)
	}
	return nil
}

const movementColumns = `sku, version, kind, on_hand, reserved, reference, reason, author, create_time`

// recordAtOnce keeps statements far from the number of arguments that databases
// take.
const recordAtOnce = 100

func record(ctx context.Context, tx *store.Tx, movements []movement) error {
	for part := range slices.Chunk(movements, recordAtOnce) {
		var args []any
		for _, m := range part {
			args = append(args, m.sku, m.version, int64(m.kind), m.onHand, m.reserved, m.reference, m.reason, m.author, m.at)
		}
		const row = `(?, ?, ?, ?, ?, ?, ?, ?, ?)`
		_, err := tx.Exec(ctx, `INSERT INTO movements (`+movementColumns+`) VALUES `+row+strings.Repeat(`, `+row, len(part)-1), args...)
		if err != nil {
			return fmt.Errorf("record movements: %w", err)
		}
	}
	return nil
}

// create makes products known of which there is nothing.
func create(ctx context.Context, tx *store.Tx, now time.Time, skus ...string) error {
	for _, sku := range skus {
		_, err := tx.Exec(ctx, `INSERT INTO stock (sku, on_hand, reserved, version, told, untold, update_time)
			VALUES (?, 0, 0, 0, 0, FALSE, ?) ON CONFLICT (sku) DO NOTHING`, sku, now)
		if err != nil {
			return fmt.Errorf("create stock of %s: %w", sku, err)
		}
	}
	return nil
}

// adjust makes one movement that somebody has ordered, and returns the stock
// after it.
func (s *stocks) adjust(ctx context.Context, m movement, now time.Time) (stock, error) {
	var out stock
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if m.onHand > 0 {
			if err := create(ctx, tx, now, m.sku); err != nil {
				return err
			}
		}
		if err := move(ctx, tx, []movement{m}, now); err != nil {
			return err
		}
		var err error
		out, err = scanStock(tx.QueryRow(ctx, `SELECT `+stockColumns+` FROM stock WHERE sku = ?`, m.sku).Scan)
		return err
	})
	if err != nil {
		return stock{}, fmt.Errorf("adjust stock of %s: %w", m.sku, err)
	}
	return out, nil
}

// movements returns the movements of a product before a version, the latest
// first.
func (s *stocks) movements(ctx context.Context, sku string, before int64, limit int) ([]movement, error) {
	list, err := store.Collect(ctx, s.db, func(scan func(...any) error) (movement, error) {
		var m movement
		err := scan(&m.sku, &m.version, &m.kind, &m.onHand, &m.reserved, &m.reference, &m.reason, &m.author, &m.at)
		return m, err
	}, `SELECT `+movementColumns+` FROM movements WHERE sku = ? AND version < ? ORDER BY version DESC LIMIT ?`, sku, before, limit)
	if err != nil {
		return nil, fmt.Errorf("list movements of %s: %w", sku, err)
	}
	return list, nil
}
