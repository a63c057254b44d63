package main

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren"
	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/idempotency"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	"github.com/gowarren/warren/store/shards"
)

// participation tells Warren in which shard a request has its effects.
func (s *orders) participation() warren.Participation {
	return warren.Participation{
		KeptIn: func(ctx context.Context, method string, req proto.Message) (idempotency.Database, error) {
			return s.shardOf(ctx, method, req)
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
