package contract

import (
	"slices"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Rules returns what protovalidate checks of a field, nil where nothing.
func Rules(fd protoreflect.FieldDescriptor) *validate.FieldRules {
	return extension[*descriptorpb.FieldOptions, *validate.FieldRules](fd, validate.E_Field)
}

// HideSecrets empties the secret fields that a message has set, however deep,
// and returns their paths, each once.
func HideSecrets(m protoreflect.Message) []string {
	var paths []string
	hide(m, "", &paths)
	slices.Sort(paths)
	return slices.Compact(paths)
}

func hide(m protoreflect.Message, prefix string, paths *[]string) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		path := prefix + string(fd.Name())
		switch {
		case Secret(fd):
			m.Clear(fd)
			*paths = append(*paths, path)
		case fd.IsMap() && fd.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				hide(v.Message(), path+".", paths)
				return true
			})
		case fd.IsMap() || fd.Message() == nil:
		case fd.IsList():
			for i := range v.List().Len() {
				hide(v.List().Get(i).Message(), path+".", paths)
			}
		default:
			hide(v.Message(), path+".", paths)
		}
		return true
	})
}
