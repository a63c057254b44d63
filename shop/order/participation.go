package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren"
	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/idempotency"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/shards"
)

// participation tells Warren in which shard a request has its effects.
func (s *orders) participation(catalog catalogv1.CatalogServiceClient) warren.Participation {
	return warren.Participation{
		KeptIn: func(ctx context.Context, method string, req proto.Message) (idempotency.Database, error) {
			shard, err := s.shardOf(ctx, method, req)
			if wanted, ok := req.(*orderv1.PlaceOrderRequest); ok && err == nil {
				return quoting{shard, catalog, wanted.GetLines()}, nil
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

// quoting is a shard in which an order is about to be placed. The catalogue is asked
// before the transaction begins in which the order is kept, together with the
// answer to its key: while the catalogue thinks, nobody waits for the database.
type quoting struct {
	shards.Shard
	catalog catalogv1.CatalogServiceClient
	wanted  []*orderv1.PlaceOrderLine
}

// InTx implements [idempotency.Database]. What a handler joins is what places the
// order; the claim of the key comes before.
func (q quoting) InTx(ctx context.Context, fn func(ctx context.Context, tx *store.Tx) error, opts ...store.TxOption) error {
	if slices.Contains(opts, store.Joinable) {
		asked, err := priced(ctx, q.catalog, q.wanted)
		if err != nil {
			return err
		}
		ctx = context.WithValue(ctx, quoteKey{}, asked)
	}
	return q.Shard.InTx(ctx, fn, opts...)
}

type quoteKey struct{}

// quoted returns what was ordered at the prices that were asked for.
func quoted(ctx context.Context) (quote, error) {
	q, ok := ctx.Value(quoteKey{}).(quote)
	if !ok {
		return q, errors.New("the order has no prices: its call had no idempotency key")
	}
	return q, nil
}
