package main

import (
	"github.com/gowarren/warren/rpc"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
)

// refuse returns an error that blames a field of the request.
func refuse(reason orderv1.Reason, field, format string, args ...any) *rpc.Error {
	err := rpc.Errorf(reason, format, args...)
	err.Violations = []rpc.Violation{{Field: field, Description: err.Message, Reason: reason.String()}}
	return err
}

// noOrder is the answer for an order that is not there, or is somebody else's:
// who asks learns no difference.
func noOrder(id string) error {
	return rpc.Errorf(orderv1.Reason_ORDER_NOT_FOUND, "there is no order %s", id)
}
