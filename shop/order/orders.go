package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/shards"
	"github.com/gowarren/warren/telemetry"
)

// orders are all orders, spread over several databases by their customers. An
// order's id carries its shard, so both the customer and the id lead to it.
type orders struct {
	all *shards.Shards
	// told is called with what an order has become, once that is committed.
	told func(*order)
}

// tables are what moves with a shard.
func tables() []shards.Table {
	return []shards.Table{
		{Name: "orders", Shard: "shard", Key: []string{"order_id"}},
		{Name: "order_lines", Shard: "shard", Key: []string{"order_id", "place"}},
		{Name: "order_changes", Shard: "shard", Key: []string{"order_id", "place"}},
	}
}

// newID returns an id for an order of the customer.
func (s *orders) newID(customer string, at time.Time) string {
	return shards.NewID(s.all.Of(customer), at)
}

// shard returns where the order is, or errNoOrder for what can't be an order's id.
func (s *orders) shard(id string) (shards.Shard, error) {
	n, err := s.all.OfID(id)
	if err != nil {
		return shards.Shard{}, errNoOrder
	}
	return s.all.Shard(n), nil
}

// about has the trace of a request found by the order that it is about.
func about(ctx context.Context, id string) { telemetry.SpanFromContext(ctx).Tag("shop.order.id", id) }

// inTx runs fn in a transaction where the order is.
func (s *orders) inTx(ctx context.Context, id string, fn func(ctx context.Context, tx *store.Tx) error, opts ...store.TxOption) error {
	shard, err := s.shard(id)
	if err != nil {
		return err
	}
	about(ctx, id)
	return shard.InTx(ctx, fn, opts...)
}

// get returns an order, or errNoOrder.
func (s *orders) get(ctx context.Context, id string) (o *order, err error) {
	err = s.inTx(ctx, id, func(ctx context.Context, tx *store.Tx) error {
		o, err = read(ctx, tx, id, "")
		return err
	}, store.ReadOnly)
	return o, err
}

// add keeps a new order.
func (s *orders) add(ctx context.Context, tx *store.Tx, o *order) error {
	tx.AfterCommit(func() { s.told(o) })
	return insert(ctx, tx, s.all.Of(o.customer), o)
}

// change has do change an order that nobody else changes meanwhile.
func (s *orders) change(ctx context.Context, tx *store.Tx, id string, do func(*order) error) (*order, error) {
	shard, err := s.shard(id)
	if err != nil {
		return nil, err
	}
	o, changed, err := update(ctx, tx, shard.Number(), id, do)
	if changed {
		tx.AfterCommit(func() { s.told(o) })
	}
	return o, err
}

// list returns a customer's latest orders before an id, the latest first.
func (s *orders) list(ctx context.Context, customer, before string, limit int) (list []*order, err error) {
	err = s.all.Shard(s.all.Of(customer)).InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		list, err = readList(ctx, tx, customer, before, limit)
		return err
	}, store.ReadOnly)
	if err != nil {
		return nil, fmt.Errorf("list orders of %s: %w", customer, err)
	}
	return list, nil
}

func readList(ctx context.Context, tx *store.Tx, customer, before string, limit int) ([]*order, error) {
	query, args := `SELECT order_id FROM orders WHERE customer_id = ?`, []any{customer}
	if before != "" {
		query, args = query+` AND order_id < ?`, append(args, before)
	}
	ids, err := readIDs(ctx, tx, query+` ORDER BY order_id DESC LIMIT ?`, append(args, limit)...)
	if err != nil {
		return nil, err
	}
	var list []*order
	for _, id := range ids {
		o, err := read(ctx, tx, id, "")
		if err != nil {
			return nil, err
		}
		list = append(list, o)
	}
	return list, nil
}

// placed returns the ids of the first orders after one that have been placed, and
// nothing more, since before a moment.
func (s *orders) placed(ctx context.Context, after string, before time.Time, limit int) ([]string, error) {
	return shards.Collect(ctx, s.all, limit, strings.Compare, func(ctx context.Context, tx *store.Tx, in []int) ([]string, error) {
		here, args := shards.In("shard", in)
		args = append([]any{orderv1.State_PLACED, after, before}, append(args, limit)...)
		return readIDs(ctx, tx, `SELECT order_id FROM orders WHERE state = ? AND order_id > ? AND created_at < ? AND `+here+`
			ORDER BY order_id LIMIT ?`, args...)
	})
}

func readIDs(ctx context.Context, tx *store.Tx, query string, args ...any) (ids []string, err error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		ids = append(ids, id)
	}
	return ids, errors.Join(rows.Err(), rows.Close())
}
