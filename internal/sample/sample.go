// Package sample makes up messages: requests that keep the rules of their
// contract, for people to start from when they try a method.
package sample

import (
	"encoding/json"
	"slices"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gowarren/warren/internal/contract"
)

// JSON is a message with every field once, for people to fill in. It keeps the
// rules of its fields, as far as one can tell without calling: a rule in CEL
// and what the method itself asks for are found by trying.
func JSON(d protoreflect.MessageDescriptor) string {
	out, err := json.MarshalIndent((&sampler{}).message(d), "", "  ")
	if err != nil {
		return "{}"
	}
	return string(out)
}

// sampler makes them up. It knows which messages it is within, since those
// that hold themselves would never end.
type sampler struct{ within []protoreflect.FullName }

func (s *sampler) message(d protoreflect.MessageDescriptor) any {
	if contract.WellKnown(d) {
		return wellKnown(d, nil)
	}
	s.within = append(s.within, d.FullName())
	defer func() { s.within = s.within[:len(s.within)-1] }()
	out := map[string]any{}
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() && o.Fields().Get(0) != f {
			continue // one of a oneof
		}
		if v, ok := s.field(f); ok {
			out[f.JSONName()] = v
		}
	}
	return out
}

// field is not ok where the field would hold the message that it is in.
func (s *sampler) field(f protoreflect.FieldDescriptor) (v any, ok bool) {
	rules := contract.Rules(f)
	again := func(f protoreflect.FieldDescriptor) bool {
		return f.Message() != nil && slices.Contains(s.within, f.Message().FullName())
	}
	switch {
	case f.IsMap():
		out := map[string]any{}
		if rules.GetMap().GetMinPairs() > 0 && !again(f.MapValue()) {
			key, _ := text(rules.GetMap().GetKeys()).(string)
			out[key] = s.value(f.MapValue(), rules.GetMap().GetValues())
		}
		return out, true
	case f.IsList():
		out := []any{}
		for range max(1, min(rules.GetRepeated().GetMinItems(), mostItems)) {
			if !again(f) {
				out = append(out, s.value(f, rules.GetRepeated().GetItems()))
			}
		}
		return out, true
	case again(f):
		return nil, false
	}
	return s.value(f, rules), true
}

// mostItems bounds what is repeated.
const mostItems = 16

func (s *sampler) value(f protoreflect.FieldDescriptor, rules *validate.FieldRules) any {
	switch f.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		if contract.WellKnown(f.Message()) {
			return wellKnown(f.Message(), rules)
		}
		return s.message(f.Message())
	case protoreflect.EnumKind:
		return enum(f.Enum(), rules)
	case protoreflect.BoolKind:
		return rules.GetBool().GetConst() || rules.GetRequired()
	case protoreflect.StringKind:
		return text(rules)
	case protoreflect.BytesKind:
		return make([]byte, max(rules.GetBytes().GetMinLen(), rules.GetBytes().GetLen(), oneIf(rules.GetRequired())))
	}
	return number(f.Kind(), rules)
}

func oneIf(yes bool) uint64 {
	if yes {
		return 1
	}
	return 0
}

func enum(d protoreflect.EnumDescriptor, rules *validate.FieldRules) string {
	r := rules.GetEnum()
	for i := range d.Values().Len() {
		v := d.Values().Get(i)
		n := int32(v.Number())
		switch {
		case rules.GetRequired() && n == 0, slices.Contains(r.GetNotIn(), n), r != nil && r.Const != nil && r.GetConst() != n,
			len(r.GetIn()) > 0 && !slices.Contains(r.GetIn(), n):
			continue
		}
		return string(v.Name())
	}
	return string(d.Values().Get(0).Name())
}
