package main

import (
	"context"
	"embed"
	"errors"
	"fmt"

	"github.com/gowarren/warren/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

var errNoOrder = errors.New("no such order")

const orderColumns = `order_id, customer_id, state, total_units, currency,
	address_name, address_street, address_city, address_postcode, address_country,
	reason, stop_wanted, version, created_at, updated_at`

func scanOrder(scan func(...any) error) (*order, error) {
	o, a := &order{}, &address{}
	err := scan(&o.id, &o.customer, &o.state, &o.total, &o.currency,
		&a.name, &a.street, &a.city, &a.postalCode, &a.country,
		&o.reason, &o.stopWanted, &o.version, &o.created, &o.updated)
	o.address = *a
	return o, err
}

// read returns an order with its lines and its history, or errNoOrder. A suffix
// of " FOR UPDATE" claims it.
func read(ctx context.Context, q store.Querier, id, suffix string) (*order, error) {
	o, err := scanOrder(q.QueryRow(ctx, `SELECT `+orderColumns+` FROM orders WHERE order_id = ?`+suffix, id).Scan)
	if errors.Is(err, store.ErrNoRows) {
		return nil, errNoOrder
	}
	if err != nil {
		return nil, fmt.Errorf("read order %s: %w", id, err)
	}
	if err := o.readLines(ctx, q); err != nil {
		return nil, fmt.Errorf("read lines of order %s: %w", id, err)
	}
	if err := o.readHistory(ctx, q); err != nil {
		return nil, fmt.Errorf("read history of order %s: %w", id, err)
	}
	return o, nil
}

func (o *order) readLines(ctx context.Context, q store.Querier) error {
	rows, err := q.Query(ctx, `SELECT sku, name, quantity, price_units FROM order_lines WHERE order_id = ? ORDER BY place`, o.id)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var l line
		if err := rows.Scan(&l.sku, &l.name, &l.quantity, &l.price); err != nil {
			return err
		}
		o.lines = append(o.lines, l)
	}
	return rows.Err()
}

func (o *order) readHistory(ctx context.Context, q store.Querier) error {
	rows, err := q.Query(ctx, `SELECT state, reason, changed_at FROM order_changes WHERE order_id = ? ORDER BY place`, o.id)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var c change
		if err := rows.Scan(&c.state, &c.reason, &c.at); err != nil {
			return err
		}
		o.history = append(o.history, c)
	}
	return rows.Err()
}

// insert keeps a new order.
func insert(ctx context.Context, tx *store.Tx, shard int, o *order) error {
	_, err := tx.Exec(ctx, `INSERT INTO orders (shard, `+orderColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		shard, o.id, o.customer, o.state, o.total, o.currency,
		o.address.name, o.address.street, o.address.city, o.address.postalCode, o.address.country,
		o.reason, o.stopWanted, o.version, o.created, o.updated)
	if err != nil {
		return fmt.Errorf("insert order %s: %w", o.id, err)
	}
	for i, l := range o.lines {
		_, err := tx.Exec(ctx, `INSERT INTO order_lines (order_id, place, shard, sku, name, quantity, price_units) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			o.id, i, shard, l.sku, l.name, l.quantity, l.price)
		if err != nil {
			return fmt.Errorf("insert line %d of order %s: %w", i, o.id, err)
		}
	}
	return o.insertHistory(ctx, tx, shard, 0)
}

// insertHistory adds what happened since the change of that place.
func (o *order) insertHistory(ctx context.Context, tx *store.Tx, shard, from int) error {
	for i := from; i < len(o.history); i++ {
		c := o.history[i]
		_, err := tx.Exec(ctx, `INSERT INTO order_changes (order_id, place, shard, state, reason, changed_at) VALUES (?, ?, ?, ?, ?, ?)`,
			o.id, i, shard, c.state, c.reason, c.at)
		if err != nil {
			return fmt.Errorf("insert change %d of order %s: %w", i, o.id, err)
		}
	}
	return nil
}

// update has do change an order that nobody else changes meanwhile, and keeps
// what it made of it.
func update(ctx context.Context, tx *store.Tx, shard int, id string, do func(*order) error) (o *order, changed bool, err error) {
	o, err = read(ctx, tx, id, " FOR UPDATE")
	if err != nil {
		return nil, false, err
	}
	version, before := o.version, len(o.history)
	if err := do(o); err != nil {
		return nil, false, err
	}
	if o.version == version {
		return o, false, nil
	}
	_, err = tx.Exec(ctx, `UPDATE orders SET state = ?, reason = ?, stop_wanted = ?, version = ?, updated_at = ? WHERE order_id = ?`,
		o.state, o.reason, o.stopWanted, o.version, o.updated, id)
	if err != nil {
		return nil, false, fmt.Errorf("update order %s: %w", id, err)
	}
	return o, true, o.insertHistory(ctx, tx, shard, before)
}
