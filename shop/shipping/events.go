package main

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gowarren/warren/events"
	shippingv1 "github.com/gowarren/warren/shop/api/shop/shipping/v1"
	"github.com/gowarren/warren/store"
)

// tell publishes what others want to know of a shipment that has come on.
func tell(ctx context.Context, tx *store.Tx, s shipment) error {
	switch s.state {
	case handedOver:
		return events.Publish(ctx, tx, &shippingv1.ShipmentShipped{
			ShipmentId: s.id, OrderId: s.order, CustomerId: s.customer, TrackingNumber: s.trackingNumber, ShipTime: timestamppb.New(s.updated),
		})
	case delivered:
		return events.Publish(ctx, tx, &shippingv1.ShipmentDelivered{
			ShipmentId: s.id, OrderId: s.order, CustomerId: s.customer, DeliverTime: timestamppb.New(s.updated),
		})
	}
	return nil
}
