package rpc

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/gowarren/warren/internal/contract"
)

// Error is why a call failed. It travels as a google.rpc.Status and reads the
// same in the handler that returns it, in the caller that receives it, and in
// the problem+json document at the edge. Everything in it but the wrapped
// cause is for the caller to see.
type Error struct {
	// Code is the canonical code of the kind of failure.
	Code codes.Code
	// Reason names the failure, uniquely within the Domain: what programs
	// decide by.
	Reason, Domain string
	// Message says what happened, for people.
	Message string
	// Metadata holds what the reason is about: ids, limits.
	Metadata map[string]string
	// Violations say which fields of the request were wrong.
	Violations []Violation
	// RetryAfter is when trying again makes sense; zero where nothing is known.
	RetryAfter time.Duration

	cause error // stays in this process
}

// Violation is one field of a request that breaks a rule.
type Violation struct {
	// Field is the field's path: "items[2].quantity".
	Field string
	// Description says what is wrong, for people.
	Description string
	// Reason is the rule broken, for programs: "string.min_len".
	Reason string
}

// Errorf returns an error with the reason given, whose code and domain stand in
// the contract that declares the reason. The message is formatted as by
// fmt.Errorf: what %w wraps can be found with errors.Is in this process, and
// is not sent beyond its text.
func Errorf(reason protoreflect.Enum, format string, args ...any) *Error {
	code, domain, name := describe(reason)
	formatted := fmt.Errorf(format, args...)
	return &Error{Code: code, Reason: name, Domain: domain, Message: formatted.Error(), cause: formatted}
}

// Reason returns an error for errors.Is: it matches every Error with the
// reason, made here or received.
func Reason(reason protoreflect.Enum) error {
	_, domain, name := describe(reason)
	return reasonError{domain: domain, name: name}
}

type reasonError struct{ domain, name string }

// Error names the reason.
func (r reasonError) Error() string { return r.domain + "/" + r.name }

// describe reads a reason's contract. A value that is not declared as a reason
// still names its failure, as an unknown one of its package.
func describe(reason protoreflect.Enum) (code codes.Code, domain, name string) {
	enum := reason.Descriptor()
	value := enum.Values().ByNumber(reason.Number())
	if value == nil {
		return codes.Unknown, string(enum.ParentFile().Package()), fmt.Sprintf("%s_%d", enum.Name(), reason.Number())
	}
	code, domain, ok := contract.Reason(value)
	if !ok {
		code = codes.Unknown
	}
	if domain == "" {
		domain = string(enum.ParentFile().Package())
	}
	return code, domain, strings.TrimPrefix(string(value.Name()), prefix(enum.Name()))
}

// prefix is what the style of protobuf puts before the values of an enum:
// "ORDER_ERROR_" for OrderError.
func prefix(enum protoreflect.Name) string {
	var b strings.Builder
	for i, r := range string(enum) {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String()) + "_"
}

// Error returns the reason, the message and the fields that are wrong.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Reason != "" {
		b.WriteString(e.Reason)
	} else {
		b.WriteString(e.Code.String())
	}
	b.WriteString(": ")
	b.WriteString(e.Message)
	for i, v := range e.Violations {
		if i == 0 {
			b.WriteString(": ")
		} else {
			b.WriteString("; ")
		}
		b.WriteString(v.Field + " " + v.Description)
	}
	return b.String()
}

// Is reports whether the target is the error's reason.
func (e *Error) Is(target error) bool {
	r, ok := target.(reasonError)
	return ok && r.name == e.Reason && r.domain == e.Domain
}

// Unwrap returns what the error wraps in this process.
func (e *Error) Unwrap() error { return e.cause }

// GRPCStatus returns the error as it travels.
func (e *Error) GRPCStatus() *status.Status {
	st := status.New(e.Code, e.Message)
	var details []protoadapt.MessageV1
	if e.Reason != "" {
		details = append(details, &errdetails.ErrorInfo{Reason: e.Reason, Domain: e.Domain, Metadata: maps.Clone(e.Metadata)})
	}
	if len(e.Violations) > 0 {
		bad := &errdetails.BadRequest{}
		for _, v := range e.Violations {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
				Field: v.Field, Description: v.Description, Reason: v.Reason,
			})
		}
		details = append(details, bad)
	}
	if e.RetryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(e.RetryAfter)})
	}
	if len(details) == 0 || e.Code == codes.OK {
		return st
	}
	full, err := st.WithDetails(details...)
	if err != nil {
		return st
	}
	return full
}

// statusError is an error that was received, or made by gRPC.
type statusError interface {
	error
	GRPCStatus() *status.Status
}

// FromError returns the error as an *Error: itself if it is one, read from its
// status if it was received, and with the code Unknown otherwise. The result
// wraps what it was made from. FromError of nil is nil.
func FromError(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	// The status itself: what was wrapped around it here is not its message.
	var st *status.Status
	if received, ok := errors.AsType[statusError](err); ok {
		st = received.GRPCStatus()
	} else {
		st = status.FromContextError(err)
	}
	e := &Error{Code: st.Code(), Message: st.Message(), cause: err}
	for _, detail := range st.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			e.Reason, e.Domain, e.Metadata = d.GetReason(), d.GetDomain(), d.GetMetadata()
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				e.Violations = append(e.Violations, Violation{Field: v.GetField(), Description: v.GetDescription(), Reason: v.GetReason()})
			}
		case *errdetails.RetryInfo:
			e.RetryAfter = d.GetRetryDelay().AsDuration()
		}
	}
	return e
}
