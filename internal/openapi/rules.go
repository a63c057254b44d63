package openapi

import (
	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gowarren/warren/internal/contract"
)

// constrain adds the simple rules, those that JSON Schema can say.
func constrain(s *schema, fd protoreflect.FieldDescriptor) {
	r := contract.Rules(fd)
	if r == nil || s.Ref != "" {
		return
	}
	switch {
	case r.GetString() != nil:
		constrainText(s, r.GetString())
	case r.GetRepeated() != nil:
		s.MinItems, s.MaxItems, s.UniqueItems = r.GetRepeated().MinItems, r.GetRepeated().MaxItems, r.GetRepeated().GetUnique()
	case r.GetMap() != nil:
		s.MinProperties, s.MaxProperties = r.GetMap().MinPairs, r.GetMap().MaxPairs
	case s.Type == "integer" || s.Type == "number":
		constrainNumber(s, r)
	}
}

func constrainText(s *schema, r *validate.StringRules) {
	s.MinLength, s.MaxLength, s.Pattern = r.MinLen, r.MaxLen, r.GetPattern()
	if r.Len != nil {
		s.MinLength, s.MaxLength = r.Len, r.Len
	}
	if r.Const != nil {
		s.Const = r.GetConst()
	}
	for _, v := range r.GetIn() {
		s.Enum = append(s.Enum, v)
	}
	switch {
	case r.GetEmail():
		s.Format = "email"
	case r.GetUuid():
		s.Format = "uuid"
	case r.GetUri():
		s.Format = "uri"
	case r.GetHostname():
		s.Format = "hostname"
	case r.GetIpv4():
		s.Format = "ipv4"
	case r.GetIpv6():
		s.Format = "ipv6"
	}
}

// constrainNumber reads the bounds by reflection: every kind of number has a
// message of its own with fields of the same names.
func constrainNumber(s *schema, r *validate.FieldRules) {
	kind := r.ProtoReflect().WhichOneof(r.ProtoReflect().Descriptor().Oneofs().ByName("type"))
	if kind == nil || kind.Message() == nil {
		return
	}
	m := r.ProtoReflect().Get(kind).Message()
	bound := func(name protoreflect.Name) any {
		fd := m.Descriptor().Fields().ByName(name)
		if fd == nil || fd.IsList() || fd.Message() != nil || !m.Has(fd) {
			return nil
		}
		return m.Get(fd).Interface()
	}
	s.Minimum, s.Maximum = bound("gte"), bound("lte")
	s.ExclusiveMinimum, s.ExclusiveMaximum = bound("gt"), bound("lt")
}
