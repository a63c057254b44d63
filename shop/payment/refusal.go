package main

import (
	"github.com/gowarren/warren/rpc"
	paymentv1 "github.com/gowarren/warren/shop/api/shop/payment/v1"
)

// refuse returns an error that blames a field of the request.
func refuse(reason paymentv1.Reason, field, format string, args ...any) *rpc.Error {
	err := rpc.Errorf(reason, format, args...)
	err.Violations = []rpc.Violation{{Field: field, Description: err.Message, Reason: reason.String()}}
	return err
}
