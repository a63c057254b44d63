package main

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "github.com/gowarren/warren/shop/api/shop/inventory/v1"
)

func (s stock) message() *inventoryv1.Stock {
	return &inventoryv1.Stock{
		Sku: s.sku, Available: s.available(), OnHand: s.onHand, Reserved: s.reserved, Version: s.version,
		UpdateTime: timestamppb.New(s.updated),
	}
}

func (m movement) message() *inventoryv1.Movement {
	return &inventoryv1.Movement{
		Sku: m.sku, Version: m.version, Kind: m.kind, OnHand: m.onHand, Reserved: m.reserved,
		Reference: m.reference, Reason: m.reason, Author: m.author, Time: timestamppb.New(m.at),
	}
}

func (r reservation) message() *inventoryv1.Reservation {
	out := &inventoryv1.Reservation{
		ReservationId: r.id, State: r.state, ExpireTime: timestamppb.New(r.expires),
		CreateTime: timestamppb.New(r.created), UpdateTime: timestamppb.New(r.updated),
	}
	for _, l := range r.lines {
		out.Lines = append(out.Lines, &inventoryv1.Line{Sku: l.sku, Quantity: int32(l.quantity)})
	}
	return out
}
