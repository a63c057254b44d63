package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gowarren/warren/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// carts are the carts in the database.
type carts struct{ db *store.DB }

func newCarts(db *store.DB) *carts { return &carts{db: db} }

// read returns a cart. One that is not there has version 0.
func (s *carts) read(ctx context.Context, who owner) (cart, error) {
	var c cart
	// Its lines belong to its version, so both are read at one moment.
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		c, err = readCart(ctx, tx, who, "")
		return err
	}, store.ReadOnly)
	if err != nil {
		return cart{}, fmt.Errorf("read cart: %w", err)
	}
	return c, nil
}

// forUpdate keeps others from changing the cart until the transaction ends.
const forUpdate = ` FOR UPDATE`

func readCart(ctx context.Context, tx *store.Tx, who owner, lock string) (cart, error) {
	c := cart{owner: who}
	err := tx.QueryRow(ctx, `SELECT version, update_time FROM carts WHERE owner = ?`+lock, who.key).Scan(&c.version, &c.updated)
	if errors.Is(err, store.ErrNoRows) {
		return cart{owner: who}, nil
	}
	if err != nil {
		return cart{}, err
	}
	rows, err := tx.Query(ctx, `SELECT sku, quantity FROM cart_lines WHERE owner = ? ORDER BY position`, who.key)
	if err != nil {
		return cart{}, err
	}
	defer rows.Close()
	for rows.Next() {
		var l line
		if err := rows.Scan(&l.sku, &l.quantity); err != nil {
			return cart{}, err
		}
		c.lines = append(c.lines, l)
	}
	return c, rows.Err()
}

// put makes the lines those of a cart that has the version given.
func (s *carts) put(ctx context.Context, who owner, version int64, lines []line, now time.Time) (cart, error) {
	var out cart
	err := s.once(ctx, func(ctx context.Context, tx *store.Tx) error {
		old, err := readCart(ctx, tx, who, forUpdate)
		if err != nil {
			return err
		}
		if old.version != version {
			return versionConflict(old.version, version)
		}
		out, err = save(ctx, tx, old, lines, now)
		return err
	})
	if err != nil {
		return cart{}, fmt.Errorf("put cart: %w", err)
	}
	return out, nil
}

// once runs a transaction again if somebody else has just made the cart that
// it makes: then it finds it there.
func (s *carts) once(ctx context.Context, fn func(ctx context.Context, tx *store.Tx) error) error {
	err := s.db.InTx(ctx, fn)
	if errors.Is(err, store.ErrConflict) {
		err = s.db.InTx(ctx, fn)
	}
	return err
}

// save writes lines over those of a cart that is locked or not there.
func save(ctx context.Context, tx *store.Tx, old cart, lines []line, now time.Time) (cart, error) {
	c := cart{owner: old.owner, version: old.version + 1, lines: lines, updated: now.UTC().Truncate(time.Microsecond)}
	if old.version == 0 {
		_, err := tx.Exec(ctx, `INSERT INTO carts (owner, visitor, version, create_time, update_time) VALUES (?, ?, ?, ?, ?)`,
			c.owner.key, c.owner.visitor, c.version, c.updated, c.updated)
		if err != nil {
			return cart{}, err
		}
	} else {
		_, err := tx.Exec(ctx, `UPDATE carts SET version = ?, update_time = ? WHERE owner = ?`, c.version, c.updated, c.owner.key)
		if err != nil {
			return cart{}, err
		}
	}
	if _, err := tx.Exec(ctx, `DELETE FROM cart_lines WHERE owner = ?`, c.owner.key); err != nil || len(lines) == 0 {
		return c, err
	}
	var args []any
	for i, l := range lines {
		args = append(args, c.owner.key, i, l.sku, l.quantity)
	}
	_, err := tx.Exec(ctx, `INSERT INTO cart_lines (owner, position, sku, quantity) VALUES (?, ?, ?, ?)`+
		strings.Repeat(`, (?, ?, ?, ?)`, len(lines)-1), args...)
	return c, err
}

// empty takes all lines out of a cart that has the version given, or any if it
// is 0. The cart stays, so that its next version is a new number.
func (s *carts) empty(ctx context.Context, who owner, version int64, now time.Time) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		old, err := readCart(ctx, tx, who, forUpdate)
		if err != nil {
			return err
		}
		if version != 0 && old.version != version {
			return versionConflict(old.version, version)
		}
		if len(old.lines) == 0 {
			return nil
		}
		_, err = save(ctx, tx, old, nil, now)
		return err
	})
	if err != nil {
		return fmt.Errorf("empty cart: %w", err)
	}
	return nil
}

// merge adds a visitor's cart to a user's and ends it. A cart that is not there,
// as it was merged before, adds nothing.
func (s *carts) merge(ctx context.Context, from, to owner, now time.Time) (out cart, leftOut []line, err error) {
	err = s.once(ctx, func(ctx context.Context, tx *store.Tx) error {
		leftOut = nil
		visitors, err := readCart(ctx, tx, from, forUpdate)
		if err != nil {
			return err
		}
		if out, err = readCart(ctx, tx, to, forUpdate); err != nil || visitors.version == 0 {
			return err
		}
		if len(visitors.lines) > 0 {
			var all []line
			all, leftOut = merge(out.lines, visitors.lines)
			if out, err = save(ctx, tx, out, all, now); err != nil {
				return err
			}
		}
		return remove(ctx, tx, from.key)
	})
	if err != nil {
		return cart{}, nil, fmt.Errorf("merge carts: %w", err)
	}
	return out, leftOut, nil
}

func remove(ctx context.Context, tx *store.Tx, key string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM cart_lines WHERE owner = ?`, key); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM carts WHERE owner = ?`, key)
	return err
}

// clean removes visitors' carts that nobody has changed since, at most so many,
// and returns how many.
func (s *carts) clean(ctx context.Context, since time.Time, limit int) (int, error) {
	rows, err := s.db.Query(ctx, `SELECT owner FROM carts WHERE visitor = TRUE AND update_time < ? ORDER BY update_time LIMIT ?`, since, limit)
	if err != nil {
		return 0, fmt.Errorf("find old carts: %w", err)
	}
	defer rows.Close()
	var keys []string
	for rows.Next() {
		var key string
		if err := rows.Scan(&key); err != nil {
			return 0, fmt.Errorf("find old carts: %w", err)
		}
		keys = append(keys, key)
	}
	if err := rows.Err(); err != nil {
		return 0, fmt.Errorf("find old carts: %w", err)
	}
	for i, key := range keys {
		if err := s.cleanOne(ctx, key, since); err != nil {
			return i, fmt.Errorf("remove old cart: %w", err)
		}
	}
	return len(keys), nil
}

// cleanOne removes a cart if it is still old.
func (s *carts) cleanOne(ctx context.Context, key string, since time.Time) error {
	return s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		c, err := readCart(ctx, tx, owner{key: key, visitor: true}, forUpdate)
		if err != nil || c.version == 0 || !c.updated.Before(since) {
			return err
		}
		return remove(ctx, tx, key)
	})
}
