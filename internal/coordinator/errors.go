package coordinator

import (
	"errors"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/rpc"
)

// refused is an error for the caller.
func refused(reason txnv1.Reason, format string, args ...any) *rpc.Error {
	return rpc.Errorf(reason, format, args...)
}

// away is an error of the database, for the caller.
func away(err error) error {
	if e, ok := errors.AsType[*rpc.Error](err); ok {
		return e
	}
	return refused(txnv1.Reason_STORE_UNAVAILABLE, "the coordinator's database did not do it: %w", err)
}
