package contract

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// findField follows a path of field names from a message.
func findField(md protoreflect.MessageDescriptor, path string) (protoreflect.FieldDescriptor, error) {
	var fd protoreflect.FieldDescriptor
	for name := range strings.SplitSeq(path, ".") {
		if fd != nil {
			if md = fd.Message(); md == nil || fd.IsList() || fd.IsMap() {
				return nil, fmt.Errorf("%s has no fields of its own", fd.FullName())
			}
		}
		if fd = md.Fields().ByName(protoreflect.Name(name)); fd == nil {
			return nil, fmt.Errorf("%s has no field %s", md.FullName(), name)
		}
	}
	return fd, nil
}

// scalar checks that a path leads to a field that holds one plain value.
func scalar(md protoreflect.MessageDescriptor, path string) error {
	fd, err := findField(md, path)
	switch {
	case err != nil:
		return err
	case fd.IsMap():
		return fmt.Errorf("%s is a map", fd.FullName())
	case fd.IsList():
		return fmt.Errorf("%s is repeated", fd.FullName())
	case fd.Message() != nil:
		return fmt.Errorf("%s is a message", fd.FullName())
	}
	return nil
}

// secrets returns the paths of the secret fields that a query could carry:
// those reached without going through a list or a map.
func secrets(md protoreflect.MessageDescriptor) []string {
	var paths []string
	seen := map[protoreflect.FullName]bool{}
	var walk func(protoreflect.MessageDescriptor, string)
	walk = func(md protoreflect.MessageDescriptor, prefix string) {
		if seen[md.FullName()] {
			return // a message within itself
		}
		seen[md.FullName()] = true
		defer delete(seen, md.FullName())
		for i := range md.Fields().Len() {
			fd := md.Fields().Get(i)
			path := prefix + string(fd.Name())
			switch {
			case Secret(fd):
				paths = append(paths, path)
			case fd.Message() != nil && !fd.IsList() && !fd.IsMap():
				walk(fd.Message(), path+".")
			}
		}
	}
	walk(md, "")
	return paths
}

// WellKnown tells whether a message, or an enum, is one of protobuf's own.
func WellKnown(d protoreflect.Descriptor) bool {
	return strings.HasPrefix(string(d.FullName()), "google.protobuf.")
}

// SecretIn returns the path of a secret field that a message of the type can
// hold, however deep, or "".
func SecretIn(md protoreflect.MessageDescriptor) string {
	seen := map[protoreflect.FullName]bool{}
	var walk func(protoreflect.MessageDescriptor) string
	walk = func(md protoreflect.MessageDescriptor) string {
		if seen[md.FullName()] {
			return ""
		}
		seen[md.FullName()] = true
		for i := range md.Fields().Len() {
			fd := md.Fields().Get(i)
			if Secret(fd) {
				return string(fd.Name())
			}
			if fd.Message() == nil {
				continue
			}
			if deeper := walk(fd.Message()); deeper != "" {
				return string(fd.Name()) + "." + deeper
			}
		}
		return ""
	}
	return walk(md)
}

// SecretSet returns the path of a secret field that the message has set, or "".
func SecretSet(m protoreflect.Message) (path string) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		deeper := ""
		look := func(v protoreflect.Value) bool {
			deeper = SecretSet(v.Message())
			return deeper == ""
		}
		switch {
		case Secret(fd):
			path = string(fd.Name())
			return false
		case fd.IsMap() && fd.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool { return look(v) })
		case fd.IsMap() || fd.Message() == nil:
		case fd.IsList():
			for i := 0; i < v.List().Len() && look(v.List().Get(i)); i++ {
			}
		default:
			look(v)
		}
		if deeper != "" {
			path = string(fd.Name()) + "." + deeper
		}
		return path == ""
	})
	return path
}
