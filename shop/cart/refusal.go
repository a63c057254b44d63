package main

import (
	"strconv"

	"github.com/gowarren/warren/rpc"
	cartv1 "github.com/gowarren/warren/shop/api/shop/cart/v1"
)

// refuse returns an error that blames a field of the request.
func refuse(reason cartv1.Reason, field, format string, args ...any) *rpc.Error {
	err := rpc.Errorf(reason, format, args...)
	err.Violations = []rpc.Violation{{Field: field, Description: err.Message, Reason: reason.String()}}
	return err
}

func versionConflict(current, wanted int64) error {
	err := rpc.Errorf(cartv1.Reason_VERSION_CONFLICT, "the cart has version %d, not %d: read it again", current, wanted)
	err.Metadata = map[string]string{"version": strconv.FormatInt(current, 10)}
	return err
}

func noCart() error {
	return rpc.Errorf(cartv1.Reason_CART_NOT_FOUND, "there is no cart of that token")
}
