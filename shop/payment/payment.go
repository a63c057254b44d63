package main

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gowarren/warren/rpc"
	paymentv1 "github.com/gowarren/warren/shop/api/shop/payment/v1"
)

// paymentState is how far a payment has come: held, then voided or captured.
type paymentState string

const (
	held     paymentState = "held"
	voided   paymentState = "voided"
	captured paymentState = "captured"
)

// payment is money on its way from a wallet to the shop.
type payment struct {
	id, customer string
	state        paymentState
	currency     string
	amount       int64 // what was held
	captured     int64
	refunded     int64 // of what was captured
	created      time.Time
	updated      time.Time
}

func (p payment) money(units int64) money { return money{units, p.currency} }

// again tells whether a wish to hold is the one that this payment came from.
func (p payment) again(wanted payment) error {
	if p.customer != wanted.customer || p.amount != wanted.amount || p.currency != wanted.currency {
		return rpc.Errorf(paymentv1.Reason_PAYMENT_EXISTS, "there is another payment %s", p.id)
	}
	if p.state == voided {
		return rpc.Errorf(paymentv1.Reason_PAYMENT_VOIDED, "payment %s was voided", p.id)
	}
	return nil
}

// holding is how the money is set aside.
func (p payment) holding() posting {
	return moving(paymentv1.EntryKind_HOLD, p.id, p.money(p.amount), walletOf(p.customer, p.currency), heldOf(p.customer, p.currency))
}

// void gives back what is held. There is nothing to post when it was before.
func (p payment) void() (payment, []posting, error) {
	switch p.state {
	case voided:
		return p, nil, nil
	case captured:
		return p, nil, rpc.Errorf(paymentv1.Reason_PAYMENT_CAPTURED, "payment %s was captured: refund it", p.id)
	}
	back := moving(paymentv1.EntryKind_VOID, p.id, p.money(p.amount), heldOf(p.customer, p.currency), walletOf(p.customer, p.currency))
	p.state = voided
	return p, []posting{back}, nil
}

// capture takes an amount, nil for all, and gives back the rest. There is
// nothing to post when it was done before.
func (p payment) capture(wanted *money) (payment, []posting, error) {
	amount := p.money(p.amount)
	if wanted != nil {
		amount = *wanted
	}
	switch {
	case p.state == voided:
		return p, nil, rpc.Errorf(paymentv1.Reason_PAYMENT_VOIDED, "payment %s was voided", p.id)
	case amount.currency != p.currency:
		return p, nil, rpc.Errorf(paymentv1.Reason_OTHER_CURRENCY, "payment %s is in %s, not in %s", p.id, p.currency, amount.currency)
	case p.state == captured && (wanted == nil || amount.units == p.captured):
		return p, nil, nil
	case p.state == captured:
		return p, nil, rpc.Errorf(paymentv1.Reason_PAYMENT_CAPTURED, "payment %s was captured with another amount", p.id)
	case amount.units > p.amount:
		return p, nil, rpc.Errorf(paymentv1.Reason_AMOUNT_TOO_LARGE, "of payment %s there is %s held", p.id, p.money(p.amount))
	}
	from := heldOf(p.customer, p.currency)
	out := []posting{moving(paymentv1.EntryKind_CAPTURE, p.id, amount, from, striped(salesAccount, p.currency, p.id))}
	if rest := p.amount - amount.units; rest > 0 {
		out = append(out, moving(paymentv1.EntryKind_VOID, p.id, p.money(rest), from, walletOf(p.customer, p.currency)))
	}
	p.state, p.captured = captured, amount.units
	return p, out, nil
}

// refund gives an amount back, nil for all that is left of what was captured.
func (p payment) refund(id string, wanted *money) (payment, money, []posting, error) {
	if p.state != captured {
		return p, money{}, nil, rpc.Errorf(paymentv1.Reason_PAYMENT_NOT_CAPTURED, "nothing was captured of payment %s", p.id)
	}
	left := p.money(p.captured - p.refunded)
	amount := left
	if wanted != nil {
		amount = *wanted
	}
	switch {
	case amount.currency != p.currency:
		return p, money{}, nil, rpc.Errorf(paymentv1.Reason_OTHER_CURRENCY, "payment %s is in %s, not in %s", p.id, p.currency, amount.currency)
	case amount.units > left.units || left.units == 0:
		return p, money{}, nil, rpc.Errorf(paymentv1.Reason_AMOUNT_TOO_LARGE, "of payment %s there is %s left to refund", p.id, left)
	}
	back := moving(paymentv1.EntryKind_REFUND, id, amount, striped(salesAccount, p.currency, p.id), walletOf(p.customer, p.currency))
	p.refunded += amount.units
	return p, amount, []posting{back}, nil
}

func (p payment) message() *paymentv1.Payment {
	states := map[paymentState]paymentv1.PaymentState{
		held:     paymentv1.PaymentState_PAYMENT_STATE_HELD,
		voided:   paymentv1.PaymentState_PAYMENT_STATE_VOIDED,
		captured: paymentv1.PaymentState_PAYMENT_STATE_CAPTURED,
	}
	return &paymentv1.Payment{
		PaymentId: p.id, CustomerId: p.customer, State: states[p.state], Amount: p.money(p.amount).message(),
		Captured: p.money(p.captured).message(), Refunded: p.money(p.refunded).message(),
		CreateTime: timestamppb.New(p.created), UpdateTime: timestamppb.New(p.updated),
	}
}
