package rpc

import (
	"errors"
	"fmt"
	"io"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	rpcv1 "github.com/gowarren/warren/api/warren/rpc/v1"
	"github.com/gowarren/warren/internal/contract"
)

// rules are the validation rules of a contract's requests, compiled when the
// service is registered. Nil rules find every message valid.
type rules struct {
	validator protovalidate.Validator
	inputs    map[protoreflect.FullName]bool // of the requests that have rules
}

// newRules compiles the rules of all requests of the contract; one that cannot
// be compiled is a mistake in the contract, found now and not by a caller.
func newRules(c *contract.Service) (*rules, error) {
	r := &rules{inputs: map[protoreflect.FullName]bool{}}
	var inputs []protoreflect.MessageDescriptor
	for _, m := range c.Methods {
		if m.Desc == nil || r.inputs[m.Desc.Input().FullName()] {
			continue
		}
		if input := m.Desc.Input(); ruled(input, map[protoreflect.FullName]bool{}) {
			inputs = append(inputs, input)
			r.inputs[input.FullName()] = true
		}
	}
	if len(inputs) == 0 {
		return nil, nil
	}
	// Not lazy: then checking takes no lock.
	validator, err := protovalidate.New(protovalidate.WithMessageDescriptors(inputs...), protovalidate.WithDisableLazy())
	if err != nil {
		return nil, fmt.Errorf("compile validation rules: %w", err)
	}
	for _, input := range inputs {
		err := validator.Validate(dynamicpb.NewMessage(input))
		if broken, ok := errors.AsType[*protovalidate.CompilationError](err); ok {
			return nil, fmt.Errorf("%s: compile validation rules of %s: %w", input.ParentFile().Path(), input.FullName(), broken)
		}
	}
	r.validator = validator
	return r, nil
}

// ruled reports whether a message, or one inside it, has rules: validating
// those that have none would only cost time.
func ruled(md protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) bool {
	if seen[md.FullName()] {
		return false
	}
	seen[md.FullName()] = true
	if r, err := protovalidate.ResolveMessageRules(md); err != nil || r != nil {
		return true
	}
	for i := range md.Oneofs().Len() {
		if r, err := protovalidate.ResolveOneofRules(md.Oneofs().Get(i)); err != nil || r != nil {
			return true
		}
	}
	for i := range md.Fields().Len() {
		field := md.Fields().Get(i)
		if r, err := protovalidate.ResolveFieldRules(field); err != nil || r != nil {
			return true
		}
		if field.Message() != nil && ruled(field.Message(), seen) {
			return true
		}
	}
	return false
}

// of returns the rules for the method's requests, nil if they have none.
func (r *rules) of(m *contract.Method) *rules {
	if r == nil || m.Desc == nil || !r.inputs[m.Desc.Input().FullName()] {
		return nil
	}
	return r
}

// check returns what the message violates, field by field.
func (r *rules) check(message any) error {
	if r == nil {
		return nil
	}
	m, ok := message.(proto.Message)
	if !ok {
		return nil
	}
	err := r.validator.Validate(m)
	if err == nil {
		return nil
	}
	invalid, ok := errors.AsType[*protovalidate.ValidationError](err)
	if !ok {
		return fmt.Errorf("validate %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	e := Errorf(rpcv1.Reason_REASON_INVALID_REQUEST, "the request breaks %d of its rules", len(invalid.Violations))
	for _, v := range invalid.Violations {
		e.Violations = append(e.Violations, Violation{
			Field:       protovalidate.FieldPathString(v.Proto.GetField()),
			Description: v.Proto.GetMessage(),
			Reason:      v.Proto.GetRuleId(),
		})
	}
	return e
}

// decoder decodes a request and validates it.
func (m *servedMethod) decoder(decode func(any) error) func(any) error {
	return func(message any) error {
		if err := decode(message); err != nil {
			return malformed(err)
		}
		return m.rules.check(message)
	}
}

// malformed says that a message which cannot be decoded is the caller's
// mistake, so that it is counted as one and not logged as ours. The caller has
// been told already: gRPC itself answers with an internal error.
func malformed(err error) error {
	if errors.Is(err, io.EOF) {
		return err
	}
	e := FromError(err)
	if e.Code != codes.Internal {
		return err
	}
	return Errorf(rpcv1.Reason_REASON_INVALID_REQUEST, "decode request: %s", e.Message)
}
