package main

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "github.com/gowarren/warren/shop/api/shop/inventory/v1"
	"github.com/gowarren/warren/telemetry"
)

// The methods here are steps of other services' transactions. Called once or
// again, in any order, they leave the stock right; that a step late or twice has
// no effect within one transaction is Warren's to see to.

// about has the trace of a call found by the reservation that it is about.
func about(ctx context.Context, id string) {
	telemetry.SpanFromContext(ctx).Tag("shop.reservation.id", id)
}

func (s *service) Reserve(ctx context.Context, req *inventoryv1.ReserveRequest) (*inventoryv1.ReserveResponse, error) {
	about(ctx, req.GetReservationId())
	lines, err := tidyLines(req.GetLines())
	if err != nil {
		return nil, err
	}
	now := s.now().Truncate(time.Microsecond)
	r := reservation{id: req.GetReservationId(), lines: lines, expires: now.Add(s.settings.keep.Get())}
	if req.GetExpireTime() != nil {
		r.expires = req.GetExpireTime().AsTime().Truncate(time.Microsecond)
	}
	expires, err := s.stocks.reserve(ctx, r, now)
	if s.meter.count("reserved", err) != nil {
		return nil, err
	}
	return &inventoryv1.ReserveResponse{ExpireTime: timestamppb.New(expires)}, nil
}

func (s *service) Release(ctx context.Context, req *inventoryv1.ReleaseRequest) (*inventoryv1.ReleaseResponse, error) {
	about(ctx, req.GetReservationId())
	return &inventoryv1.ReleaseResponse{}, s.meter.count("released", s.stocks.release(ctx, req.GetReservationId(), s.now()))
}

func (s *service) Confirm(ctx context.Context, req *inventoryv1.ConfirmRequest) (*inventoryv1.ConfirmResponse, error) {
	about(ctx, req.GetReservationId())
	return &inventoryv1.ConfirmResponse{}, s.meter.count("confirmed", s.stocks.confirm(ctx, req.GetReservationId(), s.now()))
}

func (s *service) Restock(ctx context.Context, req *inventoryv1.RestockRequest) (*inventoryv1.RestockResponse, error) {
	lines, err := tidyLines(req.GetLines())
	if err != nil {
		return nil, err
	}
	return &inventoryv1.RestockResponse{}, s.meter.count("restocked", s.stocks.restock(ctx, req.GetReturnId(), lines, s.now()))
}
