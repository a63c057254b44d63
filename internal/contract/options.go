package contract

import (
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	warrenv1 "github.com/gowarren/warren/api/warren/v1"
)

// extension reads one extension of a descriptor's options. What cannot be
// read counts as not said: Check reports it where it matters.
func extension[O proto.Message, V any](d protoreflect.Descriptor, xt protoreflect.ExtensionType) V {
	if v, ok := linked[O, V](d.Options(), xt); ok {
		return v
	}
	var none O
	options, err := resolve(d.Options(), none.ProtoReflect().New().Interface().(O))
	if err != nil {
		var zero V
		return zero
	}
	return proto.GetExtension(options, xt).(V)
}

// linked reads an extension from options that hold it in its linked Go type,
// as those of contracts that are part of the program do. It is not ok where
// only resolve finds the extension.
func linked[O proto.Message, V any](options protoreflect.ProtoMessage, xt protoreflect.ExtensionType) (v V, ok bool) {
	own, ok := options.(O)
	if !ok {
		return v, false
	}
	m := own.ProtoReflect()
	if !m.IsValid() {
		return v, true // no options at all
	}
	if len(m.GetUnknown()) > 0 {
		return v, false
	}
	value := m.Get(xt.TypeDescriptor())
	if !xt.IsValidValue(value) {
		return v, false
	}
	v, ok = xt.InterfaceOf(value).(V)
	return v, ok
}

// resolve returns options with Warren's extensions in their linked Go types.
// Descriptors from a compiler hold them as dynamic messages, those from
// reflection as unknown fields.
func resolve[T proto.Message](options protoreflect.ProtoMessage, empty T) (T, error) {
	if options == nil || !options.ProtoReflect().IsValid() {
		return empty, nil
	}
	raw, err := proto.Marshal(options)
	if err != nil {
		return empty, err
	}
	return empty, proto.UnmarshalOptions{AllowPartial: true}.Unmarshal(raw, empty)
}

// Secret reports whether a field's value must never be logged or shown.
func Secret(fd protoreflect.FieldDescriptor) bool {
	return extension[*descriptorpb.FieldOptions, bool](fd, warrenv1.E_Secret)
}

// EventKey returns the path of the field that orders the events of a message
// type, and whether the message is an event at all.
func EventKey(md protoreflect.MessageDescriptor) (key string, event bool) {
	options := extension[*descriptorpb.MessageOptions, *warrenv1.EventOptions](md, warrenv1.E_Event)
	return options.GetKey(), options != nil
}

// Reason returns what a contract says of an error reason: the status code,
// and the domain in which the reason is unique. It is not ok where the enum
// lists no reasons or the value has no code.
func Reason(value protoreflect.EnumValueDescriptor) (status codes.Code, domain string, ok bool) {
	enum := value.Parent().(protoreflect.EnumDescriptor)
	domain, reasons := reasonDomain(enum)
	status, known := codeOf(value)
	return status, domain, reasons && known
}

func reasonDomain(enum protoreflect.EnumDescriptor) (domain string, reasons bool) {
	options := extension[*descriptorpb.EnumOptions, *warrenv1.ReasonsOptions](enum, warrenv1.E_Reasons)
	return options.GetDomain(), options != nil
}

func codeOf(value protoreflect.EnumValueDescriptor) (codes.Code, bool) {
	number, known := code.Code_value[codeName(value)]
	if !known || code.Code(number) == code.Code_OK {
		return codes.Unknown, false
	}
	return codes.Code(number), true
}

func codeName(value protoreflect.EnumValueDescriptor) string {
	return extension[*descriptorpb.EnumValueOptions, string](value, warrenv1.E_Code)
}
