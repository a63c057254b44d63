package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"time"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/page"
	shippingv1 "github.com/gowarren/warren/shop/api/shop/shipping/v1"
	"github.com/gowarren/warren/telemetry"
)

// service implements the contract. What the contract says (who may call, what
// is valid, how long it may take) is enforced before a method here is called.
type service struct {
	shippingv1.UnimplementedShippingServiceServer
	shipments *shipments
	carrier   carrier
	pages     *page.Tokens
	settings  *settings
	tracer    *telemetry.Tracer
	clock     func() time.Time
}

// now is the time as databases keep it.
func (s *service) now() time.Time { return s.clock().UTC().Truncate(time.Microsecond) }

func (s *service) GetShipment(ctx context.Context, req *shippingv1.GetShipmentRequest) (*shippingv1.Shipment, error) {
	found, way, err := s.shipments.ofOrder(ctx, req.GetOrderId())
	if err != nil {
		return nil, err
	}
	if !found.visible(auth.FromContext(ctx)) {
		return nil, notFound()
	}
	return found.message(way), nil
}

const listPage = 50

func (s *service) ListShipments(ctx context.Context, req *shippingv1.ListShipmentsRequest) (*shippingv1.ListShipmentsResponse, error) {
	query, after := fmt.Sprintf("shipments\n%d", req.GetState()), position{Created: math.MaxInt64}
	if err := s.pages.Read(ctx, req.GetPageToken(), query, &after); err != nil {
		return nil, err
	}
	size := cmp.Or(int(req.GetPageSize()), listPage)
	list, err := s.shipments.list(ctx, req.GetState(), after, size+1) // one more tells whether there is a next page
	if err != nil {
		return nil, err
	}
	list, token, err := page.Cut(ctx, s.pages, query, list, size, func(last shipment) position {
		return position{Created: last.created.UnixMicro(), ID: last.id}
	})
	resp := &shippingv1.ListShipmentsResponse{NextPageToken: token}
	for _, found := range list {
		resp.Shipments = append(resp.Shipments, found.message(nil))
	}
	return resp, err
}
