package supervisor

import (
	"encoding/json"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	"github.com/gowarren/warren/internal/contract"
)

// messageBook collects messages, each once, with those inside them.
type messageBook struct {
	known    map[protoreflect.FullName]bool
	messages []*contractsv1.Message
}

func (b *messageBook) add(d protoreflect.MessageDescriptor) {
	if b.known[d.FullName()] || wellKnown(d) {
		return
	}
	b.known[d.FullName()] = true
	m := &contractsv1.Message{Name: string(d.FullName()), Doc: comment(d)}
	b.messages = append(b.messages, m)
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		m.Fields = append(m.Fields, &contractsv1.Field{Name: f.JSONName(), Type: fieldType(f), Doc: comment(f), Secret: contract.Secret(f)})
		if f.IsMap() {
			f = f.MapValue()
		}
		if f.Message() != nil {
			b.add(f.Message())
		}
	}
}

func wellKnown(d protoreflect.Descriptor) bool {
	return strings.HasPrefix(string(d.FullName()), "google.protobuf.")
}

func fieldType(f protoreflect.FieldDescriptor) string {
	switch {
	case f.IsMap():
		return "map of " + fieldType(f.MapKey()) + " to " + fieldType(f.MapValue())
	case f.IsList():
		return "list of " + kindName(f)
	}
	return kindName(f)
}

func kindName(f protoreflect.FieldDescriptor) string {
	switch {
	case f.Message() != nil:
		return string(f.Message().FullName())
	case f.Enum() != nil:
		return string(f.Enum().FullName())
	}
	return f.Kind().String()
}

// example is a request with every field once, for people to fill in.
func example(d protoreflect.MessageDescriptor) string {
	text, err := json.MarshalIndent(exampleOf(d, 0), "", "  ")
	if err != nil {
		return "{}"
	}
	return string(text)
}

// deepest keeps messages that hold themselves from being written for ever.
const deepest = 4

func exampleOf(d protoreflect.MessageDescriptor, depth int) any {
	if wellKnown(d) || depth > deepest {
		return exampleWellKnown(d)
	}
	out := map[string]any{}
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() && o.Fields().Get(0) != f {
			continue // one of a oneof
		}
		var v any
		switch {
		case f.IsMap():
			v = map[string]any{}
		case f.IsList():
			v = []any{exampleValue(f, depth)}
		default:
			v = exampleValue(f, depth)
		}
		out[f.JSONName()] = v
	}
	return out
}

func exampleWellKnown(d protoreflect.MessageDescriptor) any {
	switch d.Name() {
	case "Timestamp":
		return "2026-01-01T00:00:00Z"
	case "Duration":
		return "1s"
	case "FieldMask", "StringValue":
		return ""
	}
	return map[string]any{}
}

func exampleValue(f protoreflect.FieldDescriptor, depth int) any {
	switch f.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return exampleOf(f.Message(), depth+1)
	case protoreflect.EnumKind:
		return string(f.Enum().Values().Get(0).Name())
	case protoreflect.BoolKind:
		return false
	case protoreflect.StringKind, protoreflect.BytesKind:
		return ""
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return "0" // as proto3 JSON writes what JavaScript would round
	}
	return 0
}
