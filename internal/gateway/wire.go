package gateway

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// nesting is how deep decoders of protobuf follow messages in messages.
const nesting = 10_000

// readable tells whether the bytes are a message of the type, as the decoder of a
// service will see it. gRPC itself answers to what is none, and takes the fault upon
// the service: a stranger who sends rubbish could have its breakers opened for
// everybody. Nothing is built of the message: most of all, not its many small parts.
func readable(data []byte, md protoreflect.MessageDescriptor, deep int) bool {
	if deep > nesting {
		return false
	}
	for len(data) > 0 {
		number, kind, head := protowire.ConsumeTag(data)
		if head < 0 || number > protowire.MaxValidNumber {
			return false
		}
		size := protowire.ConsumeFieldValue(number, kind, data[head:])
		if size < 0 {
			return false
		}
		value := data[head : head+size]
		data = data[head+size:]
		if fd := md.Fields().ByNumber(number); fd != nil && !readableValue(value, number, kind, fd, deep) {
			return false
		}
	}
	return true
}

// readableValue looks at what a field that is known holds. What is not of its kind is
// for a decoder like a field that is not known.
func readableValue(value []byte, number protowire.Number, kind protowire.Type, fd protoreflect.FieldDescriptor, deep int) bool {
	switch {
	case kind == protowire.StartGroupType && fd.Kind() == protoreflect.GroupKind:
		content, _ := protowire.ConsumeGroup(number, value)
		return readable(content, fd.Message(), deep+1)
	case kind != protowire.BytesType:
		return true
	}
	content, _ := protowire.ConsumeBytes(value)
	switch fd.Kind() {
	case protoreflect.MessageKind:
		return readable(content, fd.Message(), deep+1)
	case protoreflect.StringKind:
		checked, ok := fd.(interface{ EnforceUTF8() bool })
		return ok && !checked.EnforceUTF8() || utf8.Valid(content)
	case protoreflect.BytesKind, protoreflect.GroupKind:
		return true
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return !fd.IsList() || len(content)%4 == 0
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return !fd.IsList() || len(content)%8 == 0
	}
	return !fd.IsList() || varints(content)
}

// varints tells whether the bytes are numbers packed one behind the other.
func varints(packed []byte) bool {
	for len(packed) > 0 {
		_, n := protowire.ConsumeVarint(packed)
		if n < 0 {
			return false
		}
		packed = packed[n:]
	}
	return true
}
