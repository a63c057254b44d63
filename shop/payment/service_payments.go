package main

import (
	"context"

	moneyv1 "github.com/gowarren/warren/shop/api/shop/money/v1"
	paymentv1 "github.com/gowarren/warren/shop/api/shop/payment/v1"
	"github.com/gowarren/warren/telemetry"
)

// The methods here are for other services, and steps of their transactions.

// about has the trace of a call found by the payment that it is about.
func about(ctx context.Context, id string) { telemetry.SpanFromContext(ctx).Tag("shop.payment.id", id) }

func (s *service) Hold(ctx context.Context, req *paymentv1.HoldRequest) (*paymentv1.HoldResponse, error) {
	about(ctx, req.GetPaymentId())
	amount, err := moneyOf(req.GetAmount())
	if err != nil {
		return nil, err
	}
	if err := s.meter.count("hold", s.ledger.hold(ctx, req.GetPaymentId(), req.GetCustomerId(), amount, s.now())); err != nil {
		return nil, err
	}
	return &paymentv1.HoldResponse{PaymentId: req.GetPaymentId()}, nil
}

func (s *service) Void(ctx context.Context, req *paymentv1.VoidRequest) (*paymentv1.VoidResponse, error) {
	about(ctx, req.GetPaymentId())
	if err := s.meter.count("void", s.ledger.void(ctx, req.GetPaymentId(), s.now())); err != nil {
		return nil, err
	}
	return &paymentv1.VoidResponse{}, nil
}

func (s *service) Capture(ctx context.Context, req *paymentv1.CaptureRequest) (*paymentv1.CaptureResponse, error) {
	about(ctx, req.GetPaymentId())
	amount, err := optional(req.GetAmount())
	if err != nil {
		return nil, err
	}
	captured, err := s.ledger.capture(ctx, req.GetPaymentId(), amount, s.now())
	if s.meter.count("capture", err) != nil {
		return nil, err
	}
	return &paymentv1.CaptureResponse{Captured: captured.message()}, nil
}

func (s *service) Refund(ctx context.Context, req *paymentv1.RefundRequest) (*paymentv1.RefundResponse, error) {
	about(ctx, req.GetPaymentId())
	amount, err := optional(req.GetAmount())
	if err != nil {
		return nil, err
	}
	refunded, err := s.ledger.refund(ctx, req.GetRefundId(), req.GetPaymentId(), amount, s.now())
	if s.meter.count("refund", err) != nil {
		return nil, err
	}
	return &paymentv1.RefundResponse{Refunded: refunded.message()}, nil
}

// optional reads an amount that may be left out.
func optional(m *moneyv1.Money) (*money, error) {
	if m == nil {
		return nil, nil
	}
	amount, err := moneyOf(m)
	return &amount, err
}

func (s *service) GetPayment(ctx context.Context, req *paymentv1.GetPaymentRequest) (*paymentv1.Payment, error) {
	p, err := s.ledger.payment(ctx, req.GetPaymentId())
	if err != nil {
		return nil, err
	}
	return p.message(), nil
}

// ReportCharge believes nothing: it has the provider asked.
func (s *service) ReportCharge(ctx context.Context, req *paymentv1.ReportChargeRequest) (*paymentv1.ReportChargeResponse, error) {
	if err := s.charges.reported(ctx, req.GetTopUpId()); err != nil {
		return nil, err
	}
	return &paymentv1.ReportChargeResponse{}, nil
}
