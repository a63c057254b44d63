package letters

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	warrenv1 "github.com/gowarren/warren/api/warren/v1"
	"github.com/gowarren/warren/events"
)

// mark stands for a text that is secret; what else is secret is left out.
const mark = "[secret]"

// shown is the event in JSON, without its secrets.
func shown(l events.Letter) (string, error) {
	event, err := read(l)
	if err != nil {
		return "", err
	}
	hide(event.ProtoReflect())
	text, err := protojson.MarshalOptions{Multiline: true}.Marshal(event)
	return string(text), err
}

func read(l events.Letter) (proto.Message, error) {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(l.Topic))
	if err != nil {
		return nil, fmt.Errorf("read event: this program does not know %s", l.Topic)
	}
	event := kind.New().Interface()
	if err := proto.Unmarshal(l.Payload, event); err != nil {
		return nil, fmt.Errorf("read event: its payload is no %s", l.Topic)
	}
	return event, nil
}

// secret tells whether a field's value is for nobody's eyes.
func secret(fd protoreflect.FieldDescriptor) bool {
	opts, ok := fd.Options().(*descriptorpb.FieldOptions)
	if !ok {
		return false
	}
	hidden, _ := proto.GetExtension(opts, warrenv1.E_Secret).(bool)
	return hidden || opts.GetDebugRedact()
}

// plain tells whether a field is a single text, which can hold the mark.
func plain(fd protoreflect.FieldDescriptor) bool {
	return fd.Kind() == protoreflect.StringKind && !fd.IsList() && !fd.IsMap()
}

// hide takes the secrets out of a message, and the fields that nobody knows.
func hide(m protoreflect.Message) {
	m.SetUnknown(nil)
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case secret(fd) && plain(fd):
			m.Set(fd, protoreflect.ValueOfString(mark))
		case secret(fd):
			m.Clear(fd)
		default:
			each(fd, v, func(_ protoreflect.MapKey, _ int, child protoreflect.Message) { hide(child) })
		}
		return true
	})
}

// each calls f for the messages in a field: of a map by key, of a list by place.
func each(fd protoreflect.FieldDescriptor, v protoreflect.Value, f func(protoreflect.MapKey, int, protoreflect.Message)) {
	switch {
	case fd.IsMap():
		if fd.MapValue().Message() != nil {
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool { f(k, 0, v.Message()); return true })
		}
	case fd.Message() == nil:
	case fd.IsList():
		for i := range v.List().Len() {
			f(protoreflect.MapKey{}, i, v.List().Get(i).Message())
		}
	default:
		f(protoreflect.MapKey{}, 0, v.Message())
	}
}

// merged is the event that text stands for, its secrets those of the letter where
// the text shows the mark, or nothing.
func merged(l events.Letter, text string) ([]byte, error) {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(l.Topic))
	if err != nil {
		return nil, fmt.Errorf("read event: this program does not know %s", l.Topic)
	}
	edited := kind.New().Interface()
	if err := protojson.Unmarshal([]byte(text), edited); err != nil {
		return nil, fmt.Errorf("read event: %w", err)
	}
	if before, err := read(l); err == nil {
		restore(edited.ProtoReflect(), before.ProtoReflect())
	}
	return protojson.Marshal(edited)
}

// restore gives a message the secrets that it had before.
func restore(m, before protoreflect.Message) {
	before.Range(func(fd protoreflect.FieldDescriptor, was protoreflect.Value) bool {
		if secret(fd) {
			if !m.Has(fd) || plain(fd) && m.Get(fd).String() == mark {
				m.Set(fd, was)
			}
			return true
		}
		if m.Has(fd) {
			each(fd, m.Get(fd), func(k protoreflect.MapKey, i int, child protoreflect.Message) {
				if from, ok := childOf(fd, was, k, i); ok {
					restore(child, from)
				}
			})
		}
		return true
	})
}

func childOf(fd protoreflect.FieldDescriptor, v protoreflect.Value, k protoreflect.MapKey, i int) (protoreflect.Message, bool) {
	switch {
	case fd.IsMap():
		if !v.Map().Has(k) {
			return nil, false
		}
		return v.Map().Get(k).Message(), true
	case fd.IsList():
		if i >= v.List().Len() {
			return nil, false
		}
		return v.List().Get(i).Message(), true
	}
	return v.Message(), true
}
