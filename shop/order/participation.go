package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren"
	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/idempotency"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/shards"
	"github.com/gowarren/warren/txn"
)

// participation tells Warren in which shard a request has its effects.
func (p *placing) participation() warren.Participation {
	return warren.Participation{
		KeptIn: func(ctx context.Context, method string, req proto.Message) (idempotency.Database, error) {
			shard, err := p.orders.shardOf(ctx, method, req)
			if wish, ok := req.(*orderv1.PlaceOrderRequest); ok && err == nil {
				return placed{Shard: shard, by: p, wish: wish}, nil
			}
			return shard, err
		},
	}
}

// shardOf returns the shard of the order that a request is about: of its id, or of
// the customer who places it.
func (s *orders) shardOf(ctx context.Context, method string, req proto.Message) (shards.Shard, error) {
	switch r := req.(type) {
	case *orderv1.PlaceOrderRequest:
		return s.all.Shard(s.all.Of(auth.FromContext(ctx).Subject)), nil
	case interface{ GetOrderId() string }:
		shard, err := s.shard(r.GetOrderId())
		return shard, known(err, r.GetOrderId())
	}
	return shards.Shard{}, fmt.Errorf("find the shard of a call of %s: its request names no order", method)
}

// placing does what comes before the transaction in which an order is kept,
// together with the answer to its key: the catalogue is asked for prices, and the
// coordinator is told of the saga. While they think, nobody waits for the database.
type placing struct {
	orders  *orders
	sagas   *sagas
	catalog catalogv1.CatalogServiceClient
	now     func() time.Time
}

// placed is a shard in which an order is about to be placed.
type placed struct {
	shards.Shard
	by   *placing
	wish *orderv1.PlaceOrderRequest
}

// InTx implements [idempotency.Database]. What a handler joins is what places the
// order; the claim of the key comes before.
func (p placed) InTx(ctx context.Context, fn func(ctx context.Context, tx *store.Tx) error, opts ...store.TxOption) error {
	if !slices.Contains(opts, store.Joinable) {
		return p.Shard.InTx(ctx, fn, opts...)
	}
	o, err := p.by.order(ctx, p.wish)
	if err != nil {
		return err
	}
	saga := func() *txn.Saga {
		o.id = p.by.orders.newID(o.customer, o.created) // which is the saga's, too
		about(ctx, o.id)
		return checkout(o, txn.Attempts(always))
	}
	return p.by.sagas.prepared(ctx, p.Shard, saga, func(saga *txn.Saga) error {
		return p.Shard.InTx(context.WithValue(ctx, draftKey{}, &draft{o, p.Shard, saga}), fn, opts...)
	})
}

// order is what the caller wishes, at the catalogue's prices. It has no id yet.
func (p *placing) order(ctx context.Context, wish *orderv1.PlaceOrderRequest) (*order, error) {
	q, err := priced(ctx, p.catalog, wish.GetLines())
	if err != nil {
		return nil, err
	}
	total, err := sum(q.lines)
	if err != nil {
		return nil, refuse(orderv1.Reason_BAD_TOTAL, "lines", "the order is too large: %v", err)
	}
	now := p.now()
	return &order{
		customer: auth.FromContext(ctx).Subject, state: orderv1.State_PLACED, version: 1,
		lines: q.lines, total: total, currency: q.currency, address: addressOf(wish.GetAddress()),
		created: now, updated: now, history: []change{{state: orderv1.State_PLACED, at: now}},
	}, nil
}

// draft is an order that is to be kept, and the saga that waits for that.
type draft struct {
	order *order
	shard shards.Shard
	saga  *txn.Saga
}

type draftKey struct{}

// drafted returns what is to be kept in this transaction.
func drafted(ctx context.Context) (*draft, error) {
	d, ok := ctx.Value(draftKey{}).(*draft)
	if !ok {
		return nil, errors.New("the order has no prices: its call had no idempotency key")
	}
	return d, nil
}
