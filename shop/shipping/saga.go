package main

import (
	"context"

	shippingv1 "github.com/gowarren/warren/shop/api/shop/shipping/v1"
	"github.com/gowarren/warren/telemetry"
)

// The methods here are steps of other services' transactions. Called once or
// again, in any order, they leave the shipment right; that a step late or twice
// has no effect within one transaction is Warren's to see to.

// about has the trace of a call found by the shipment that it is about.
func about(ctx context.Context, id string) {
	telemetry.SpanFromContext(ctx).Tag("shop.shipment.id", id)
}

func (s *service) CreateShipment(ctx context.Context, req *shippingv1.CreateShipmentRequest) (*shippingv1.CreateShipmentResponse, error) {
	about(ctx, req.GetShipmentId())
	telemetry.SpanFromContext(ctx).Tag("shop.order.id", req.GetOrderId())
	wanted := shipmentOf(req)
	kept, there, err := s.shipments.find(ctx, wanted.id)
	if err != nil {
		return nil, err
	}
	if there { // the carrier has answered before
		return &shippingv1.CreateShipmentResponse{TrackingNumber: kept.trackingNumber}, kept.again(wanted)
	}
	if wanted.trackingNumber, err = s.carrier.book(wanted.id); err != nil {
		return nil, err
	}
	wanted.created = s.now()
	wanted.updated, wanted.next = wanted.created, wanted.created
	if kept, err = s.shipments.create(ctx, wanted); err != nil {
		return nil, err
	}
	return &shippingv1.CreateShipmentResponse{TrackingNumber: kept.trackingNumber}, nil
}

func (s *service) DispatchShipment(ctx context.Context, req *shippingv1.DispatchShipmentRequest) (*shippingv1.DispatchShipmentResponse, error) {
	about(ctx, req.GetShipmentId())
	return &shippingv1.DispatchShipmentResponse{}, s.shipments.dispatch(ctx, req.GetShipmentId(), s.now(), s.settings.pace.Get())
}

func (s *service) CancelShipment(ctx context.Context, req *shippingv1.CancelShipmentRequest) (*shippingv1.CancelShipmentResponse, error) {
	about(ctx, req.GetShipmentId())
	return &shippingv1.CancelShipmentResponse{}, s.shipments.cancel(ctx, req.GetShipmentId(), s.now())
}
