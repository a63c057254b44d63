package telemetry

import (
	"encoding/json"
	"log/slog"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	warrenv1 "github.com/gowarren/warren/api/warren/v1"
	"github.com/gowarren/warren/internal/redact"
)

// maxLoggedProto bounds what one message may add to a log line.
const maxLoggedProto = 8 << 10

// Proto makes a message fit for a log attribute: its fields that the contract
// marks as secret are redacted, and the work is done only when the line is
// written. Messages logged without it are redacted in the same way.
func Proto(m proto.Message) slog.LogValuer { return protoValue{m} }

type protoValue struct{ message proto.Message }

// LogValue renders the message as JSON without its secrets.
func (v protoValue) LogValue() slog.Value {
	if v.message == nil || !v.message.ProtoReflect().IsValid() {
		return slog.AnyValue(nil)
	}
	clean := proto.Clone(v.message)
	redactMessage(clean.ProtoReflect())
	text, err := protojson.Marshal(clean)
	switch {
	case err != nil:
		return slog.StringValue(string(clean.ProtoReflect().Descriptor().FullName()) + ": " + err.Error())
	case len(text) > maxLoggedProto:
		return slog.StringValue(string(text[:maxLoggedProto]) + "…")
	}
	return slog.AnyValue(json.RawMessage(text))
}

// redactMessage overwrites the secret fields of m, at any depth.
func redactMessage(m protoreflect.Message) {
	if m.Descriptor().FullName() == "google.protobuf.Any" {
		redactPacked(m)
		return
	}
	// The fields are collected first: Range forbids all changes but those of
	// the field in hand.
	var secrets []protoreflect.FieldDescriptor
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if isSecret(field) {
			secrets = append(secrets, field)
		} else {
			redactWithin(field, value)
		}
		return true
	})
	for _, field := range secrets {
		m.Clear(field)
		switch {
		case field.IsList() || field.IsMap():
		case field.Kind() == protoreflect.StringKind:
			m.Set(field, protoreflect.ValueOfString(redact.Redacted))
		case field.Kind() == protoreflect.BytesKind:
			m.Set(field, protoreflect.ValueOfBytes([]byte(redact.Redacted)))
		}
	}
}

// redactWithin descends into the messages that a field holds.
func redactWithin(field protoreflect.FieldDescriptor, value protoreflect.Value) {
	switch {
	case field.IsMap():
		if field.MapValue().Message() == nil {
			return
		}
		value.Map().Range(func(_ protoreflect.MapKey, element protoreflect.Value) bool {
			redactMessage(element.Message())
			return true
		})
	case field.Message() == nil:
	case field.IsList():
		for list, i := value.List(), 0; i < list.Len(); i++ {
			redactMessage(list.Get(i).Message())
		}
	default:
		redactMessage(value.Message())
	}
}

// redactPacked redacts a packed message, and empties one whose contract isn't
// known here: nobody can say what it holds. It goes by the fields, for an Any
// inside a dynamic message is a dynamic message too.
func redactPacked(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	link, content := fields.ByName("type_url"), fields.ByName("value")
	packed := &anypb.Any{TypeUrl: m.Get(link).String(), Value: m.Get(content).Bytes()}
	inner, err := packed.UnmarshalNew()
	if err != nil {
		m.Clear(link)
		m.Clear(content)
		return
	}
	redactMessage(inner.ProtoReflect())
	clean, err := proto.Marshal(inner)
	if err != nil {
		clean = nil
	}
	m.Set(content, protoreflect.ValueOfBytes(clean))
}

// isSecret reads the contract's option, also from descriptors that were built
// before the option's type was known, which carry it as raw bytes.
func isSecret(field protoreflect.FieldDescriptor) bool {
	options := field.Options()
	if options == nil {
		return false
	}
	if proto.HasExtension(options, warrenv1.E_Secret) {
		secret, _ := proto.GetExtension(options, warrenv1.E_Secret).(bool)
		return secret
	}
	if !options.ProtoReflect().IsValid() || len(options.ProtoReflect().GetUnknown()) == 0 {
		return false
	}
	raw, err := proto.Marshal(options)
	if err != nil {
		return true // unreadable: hide rather than show
	}
	again := options.ProtoReflect().New().Interface()
	if err := proto.Unmarshal(raw, again); err != nil {
		return true
	}
	secret, _ := proto.GetExtension(again, warrenv1.E_Secret).(bool)
	return secret
}
