package main

import (
	"strconv"

	"github.com/gowarren/warren/rpc"
	inventoryv1 "github.com/gowarren/warren/shop/api/shop/inventory/v1"
)

// refuse returns an error that blames a field of the request.
func refuse(reason inventoryv1.Reason, field, format string, args ...any) *rpc.Error {
	err := rpc.Errorf(reason, format, args...)
	err.Violations = []rpc.Violation{{Field: field, Description: err.Message, Reason: reason.String()}}
	return err
}

func outOfStock(sku string, available, wanted int64) error {
	err := rpc.Errorf(inventoryv1.Reason_OUT_OF_STOCK, "there are %d of %s, not %d", available, sku, wanted)
	err.Metadata = map[string]string{"sku": sku, "available": strconv.FormatInt(available, 10)}
	return err
}

func noSuchSKU(sku string) error {
	return rpc.Errorf(inventoryv1.Reason_SKU_NOT_FOUND, "there is no stock of %s", sku)
}
