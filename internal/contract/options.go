package contract

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	warrenv1 "github.com/gowarren/warren/api/warren/v1"
)

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

// extension reads one extension of a descriptor's options. What cannot be
// read counts as not said: Check reports it where it matters.
func extension[O proto.Message, V any](d protoreflect.Descriptor, empty O, xt protoreflect.ExtensionType) V {
	options, err := resolve(d.Options(), empty)
	if err != nil {
		var zero V
		return zero
	}
	return proto.GetExtension(options, xt).(V)
}

// Secret reports whether a field's value must never be logged or shown.
func Secret(fd protoreflect.FieldDescriptor) bool {
	return extension[*descriptorpb.FieldOptions, bool](fd, &descriptorpb.FieldOptions{}, warrenv1.E_Secret)
}

// EventKey returns the path of the field that orders the events of a message
// type, and whether the message is an event at all.
func EventKey(md protoreflect.MessageDescriptor) (key string, event bool) {
	options := extension[*descriptorpb.MessageOptions, *warrenv1.EventOptions](md, &descriptorpb.MessageOptions{}, warrenv1.E_Event)
	return options.GetKey(), options != nil
}

// Reason returns what a contract says of an error reason: the status code,
// and the domain in which the reason is unique. It is not ok where the enum
// lists no reasons or the value has no code.
func Reason(value protoreflect.EnumValueDescriptor) (code codes.Code, domain string, ok bool) {
	enum := value.Parent().(protoreflect.EnumDescriptor)
	domain, reasons := reasonDomain(enum)
	code, known := codeOf(value)
	return code, domain, reasons && known
}

func reasonDomain(enum protoreflect.EnumDescriptor) (domain string, reasons bool) {
	options := extension[*descriptorpb.EnumOptions, *warrenv1.ReasonsOptions](enum, &descriptorpb.EnumOptions{}, warrenv1.E_Reasons)
	return options.GetDomain(), options != nil
}

func codeOf(value protoreflect.EnumValueDescriptor) (codes.Code, bool) {
	name := codeName(value)
	var code codes.Code
	if name == "" || name == "OK" || code.UnmarshalJSON([]byte(`"`+name+`"`)) != nil {
		return codes.Unknown, false
	}
	return code, true
}

func codeName(value protoreflect.EnumValueDescriptor) string {
	return extension[*descriptorpb.EnumValueOptions, string](value, &descriptorpb.EnumValueOptions{}, warrenv1.E_Code)
}
