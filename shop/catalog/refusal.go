package main

import (
	"github.com/gowarren/warren/rpc"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
)

// refuse returns an error that blames a field of the request.
func refuse(reason catalogv1.Reason, field, format string, args ...any) *rpc.Error {
	err := rpc.Errorf(reason, format, args...)
	err.Violations = []rpc.Violation{{Field: field, Description: err.Message, Reason: reason.String()}}
	return err
}

// reasonOf returns the contract's reason of an error that refuse made.
func reasonOf(err *rpc.Error) catalogv1.Reason {
	return catalogv1.Reason(catalogv1.Reason_value[err.Reason])
}
