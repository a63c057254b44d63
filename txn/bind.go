package txn

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gowarren/warren/internal/contract"
)

// binding has a field of a request filled from a field of an answer.
type binding struct {
	field  string
	from   *Step
	answer string

	to, of []int32 // the paths as field numbers, once they are resolved
}

// bind resolves what the step's request gets from earlier answers.
func (s *Step) bind(request proto.Message) error {
	for i := range s.bindings {
		b := &s.bindings[i]
		if b.from == nil || b.from.saga != s.saga {
			return s.wrongf("the field %s is bound to a step that is not of this saga; bind it to one that Step of it returned", b.field)
		}
		if b.from.method == nil {
			continue // its own mistake is told
		}
		filled, err := b.resolve(s.method, b.from.method)
		if err != nil {
			return s.wrongf("bind %s to %s of the step %s: %w", b.field, b.answer, b.from.name, err)
		}
		if has(request.ProtoReflect(), filled) {
			return s.wrongf("the field %s is bound to the step %s, and its request sets it, too; leave one out", b.field, b.from.name)
		}
	}
	return nil
}

func (s *Step) bindUndo() error {
	for i := range s.undoFields {
		b := &s.undoFields[i]
		if s.partner.compensate == nil {
			return s.wrongf("the field %s of what undoes it is bound, and nothing undoes it: %s names no compensate method; "+
				"leave BindUndo out", b.field, s.method.FullName)
		}
		if _, err := b.resolve(s.partner.compensate, s.method); err != nil {
			return s.wrongf("bind %s of %s to its answer's %s: %w", b.field, s.partner.compensate.Name, b.answer, err)
		}
	}
	return nil
}

// resolve finds both fields, and returns the path of the one that is filled.
func (b *binding) resolve(to, from *contract.Method) ([]protoreflect.FieldDescriptor, error) {
	target, err := walk(to.Desc.Input(), b.field)
	if err != nil {
		return nil, err
	}
	source, err := walk(from.Desc.Output(), b.answer)
	if err != nil {
		return nil, err
	}
	if want, got := kindOf(target[len(target)-1]), kindOf(source[len(source)-1]); want != got {
		return nil, fmt.Errorf("the one is %s, the other %s; bind fields of one kind", want, got)
	}
	b.to, b.of = numbers(target), numbers(source)
	return target, nil
}

// walk follows a path of field names through a message.
func walk(md protoreflect.MessageDescriptor, path string) ([]protoreflect.FieldDescriptor, error) {
	var out []protoreflect.FieldDescriptor
	for name := range strings.SplitSeq(path, ".") {
		if len(out) > 0 {
			last := out[len(out)-1]
			if md = last.Message(); md == nil || last.IsList() || last.IsMap() {
				return nil, fmt.Errorf("%s has no fields of its own; end the path there", last.FullName())
			}
		}
		fd := md.Fields().ByName(protoreflect.Name(name))
		if fd == nil {
			return nil, fmt.Errorf("%s has no field %q; it has %s", md.FullName(), name, fields(md))
		}
		if contract.Secret(fd) {
			return nil, fmt.Errorf("%s is a secret, which transactions do not carry", fd.FullName())
		}
		out = append(out, fd)
	}
	return out, nil
}

func fields(md protoreflect.MessageDescriptor) string {
	if md.Fields().Len() == 0 {
		return "none"
	}
	all := make([]string, md.Fields().Len())
	for i := range all {
		all[i] = string(md.Fields().Get(i).Name())
	}
	return strings.Join(all, ", ")
}

// kindOf is what has to be the same so that the bytes of one field are those of
// the other.
func kindOf(fd protoreflect.FieldDescriptor) string {
	kind := fd.Kind().String()
	switch {
	case fd.IsMap():
		return "map<" + kindOf(fd.MapKey()) + ", " + kindOf(fd.MapValue()) + ">"
	case fd.Message() != nil:
		kind += " " + string(fd.Message().FullName())
	case fd.Enum() != nil:
		kind += " " + string(fd.Enum().FullName())
	}
	if fd.IsList() {
		return "repeated " + kind
	}
	return kind
}

func numbers(path []protoreflect.FieldDescriptor) []int32 {
	out := make([]int32, len(path))
	for i, fd := range path {
		out[i] = int32(fd.Number())
	}
	return out
}

// has tells whether a message sets the field at the end of a path.
func has(m protoreflect.Message, path []protoreflect.FieldDescriptor) bool {
	for _, fd := range path[:len(path)-1] {
		if !m.Has(fd) {
			return false
		}
		m = m.Get(fd).Message()
	}
	return m.Has(path[len(path)-1])
}
