package main

import (
	"google.golang.org/protobuf/reflect/protoreflect"

	rpcv1 "github.com/gowarren/warren/api/warren/rpc/v1"
	"github.com/gowarren/warren/rpc"
)

// invalid returns an error that blames a field of the request for breaking a
// rule that the contract cannot tell.
func invalid(field, format string, args ...any) *rpc.Error {
	return refuse(rpcv1.Reason_REASON_INVALID_REQUEST, field, format, args...)
}

// refuse returns an error with a reason that blames a field of the request.
func refuse(reason protoreflect.Enum, field, format string, args ...any) *rpc.Error {
	err := rpc.Errorf(reason, format, args...)
	err.Violations = []rpc.Violation{{Field: field, Description: err.Message, Reason: err.Reason}}
	return err
}
