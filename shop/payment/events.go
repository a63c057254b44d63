package main

import (
	"google.golang.org/protobuf/proto"

	paymentv1 "github.com/gowarren/warren/shop/api/shop/payment/v1"
)

// event is what others are told of a top-up that ended.
func (t topUp) event() proto.Message {
	if t.state == confirmed {
		return &paymentv1.WalletToppedUp{TopUpId: t.id, CustomerId: t.customer, Amount: t.amount.message(), CardLastFour: t.lastFour}
	}
	return &paymentv1.TopUpDeclined{
		TopUpId: t.id, CustomerId: t.customer, Amount: t.amount.message(), CardLastFour: t.lastFour, Reason: t.declined,
	}
}
