package control

import (
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
	if b.known[d.FullName()] || contract.WellKnown(d) {
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
