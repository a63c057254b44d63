package main

import (
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	shippingv1 "github.com/gowarren/warren/shop/api/shop/shipping/v1"
)

// message is the shipment as the contract has it, with what happened to it.
func (s shipment) message(way []happening) *shippingv1.Shipment {
	a := s.address
	out := &shippingv1.Shipment{
		ShipmentId: s.id, OrderId: s.order, CustomerId: s.customer, State: s.state, Dispatched: s.dispatched,
		Address:        &shippingv1.Address{Name: a.name, Street: a.street, City: a.city, PostalCode: a.postalCode, CountryCode: a.country},
		TrackingNumber: s.trackingNumber, CreateTime: timestamppb.New(s.created), UpdateTime: timestamppb.New(s.updated),
	}
	for _, l := range s.lines {
		out.Lines = append(out.Lines, &shippingv1.Line{Sku: l.sku, Quantity: l.quantity})
	}
	for _, h := range way {
		out.Tracking = append(out.Tracking, &shippingv1.TrackingEvent{State: h.state, Text: h.text, Time: timestamppb.New(h.at)})
	}
	return out
}

// shipmentOf reads the shipment that a request wants.
func shipmentOf(req *shippingv1.CreateShipmentRequest) shipment {
	a := req.GetAddress()
	out := shipment{
		id: req.GetShipmentId(), order: req.GetOrderId(), customer: req.GetCustomerId(), state: created,
		address: address{a.GetName(), a.GetStreet(), a.GetCity(), a.GetPostalCode(), a.GetCountryCode()},
	}
	for _, l := range req.GetLines() {
		out.lines = append(out.lines, line{strings.ToUpper(l.GetSku()), l.GetQuantity()})
	}
	return out
}
