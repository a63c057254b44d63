package warrentest

import (
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gowarren/warren/rpc"
)

// Code returns the code with which a call was answered; OK where there is no error.
func Code(err error) codes.Code {
	if err == nil {
		return codes.OK
	}
	return rpc.FromError(err).Code
}

// Refused reports whether a call was refused for the reason, a value of a
// contract's enum of reasons.
func Refused(err error, reason protoreflect.Enum) bool {
	return err != nil && errors.Is(rpc.FromError(err), rpc.Reason(reason))
}
