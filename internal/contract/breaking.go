package contract

import (
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Breaking returns what in next breaks those who use old: programs with old
// messages on the wire or in stores, callers of its methods, clients of its
// routes. What moved to another file of its package breaks nobody.
func Breaking(old, next *protoregistry.Files) Problems {
	d := &differ{next: next}
	old.RangeFiles(func(fd protoreflect.FileDescriptor) bool {
		d.file(fd)
		return true
	})
	d.problems.Sort()
	return d.problems
}

type differ struct {
	next     *protoregistry.Files
	problems Problems
}

// report places the problem where the new contract has the element, or what
// is left of its surroundings.
func (d *differ) report(element protoreflect.Descriptor, remedy, message string, args ...any) {
	d.reportAt(d.nearest(element), element, remedy, message, args...)
}

// reportAt places the problem at what took the element's place.
func (d *differ) reportAt(at, element protoreflect.Descriptor, remedy, message string, args ...any) {
	p := At(at, fmt.Sprintf(message, args...), remedy)
	p.Element = elementName(element)
	d.problems = append(d.problems, p)
}

func (d *differ) nearest(element protoreflect.Descriptor) protoreflect.Descriptor {
	for at := element; at != nil; at = at.Parent() {
		if _, file := at.(protoreflect.FileDescriptor); file {
			break
		}
		if found, err := d.next.FindDescriptorByName(at.FullName()); err == nil {
			return found
		}
	}
	if found, err := d.next.FindFileByPath(element.ParentFile().Path()); err == nil {
		return found
	}
	return element
}

func (d *differ) file(old protoreflect.FileDescriptor) {
	if found, err := d.next.FindFileByPath(old.Path()); err == nil && found.Package() != old.Package() {
		d.report(old, "keep the package, and put what is new into a file of its own",
			"its package changed from %s to %s", old.Package(), found.Package())
		return
	}
	d.messages(old.Messages())
	d.enums(old.Enums())
	for i := range old.Services().Len() {
		d.service(old.Services().Get(i))
	}
}

// counterpart finds an element of the same name and kind in the new files.
func counterpart[D protoreflect.Descriptor](d *differ, old D, kind string) (D, bool) {
	found, err := d.next.FindDescriptorByName(old.FullName())
	if err == nil {
		if same, ok := found.(D); ok {
			return same, true
		}
	}
	d.report(old, "keep it, marked deprecated, or make a new version of the package", "the %s is gone", kind)
	return old, false
}

func (d *differ) messages(messages protoreflect.MessageDescriptors) {
	for i := range messages.Len() {
		old := messages.Get(i)
		found, ok := counterpart(d, old, "message")
		if !ok {
			continue
		}
		for j := range old.Fields().Len() {
			d.field(old.Fields().Get(j), found)
		}
		d.messages(old.Messages())
		d.enums(old.Enums())
	}
}

func (d *differ) field(old protoreflect.FieldDescriptor, in protoreflect.MessageDescriptor) {
	found := in.Fields().ByNumber(old.Number())
	if found == nil {
		d.goneField(old, in)
		return
	}
	if found.Name() != old.Name() {
		d.reportAt(found, old, "keep the name: JSON and programs use it", "the field with number %d is called %s now", old.Number(), found.Name())
		return
	}
	if was, is := typeName(old), typeName(found); was != is {
		d.report(old, "keep the type, and add a field for the new one", "its type changed from %s to %s", was, is)
	}
	if was, is := cardinality(old), cardinality(found); was != is {
		d.report(old, "keep it, and add a field for the new one", "it changed from %s to %s", was, is)
	}
	if old.JSONName() != found.JSONName() {
		d.report(old, "keep the json_name", "its name in JSON changed from %s to %s", old.JSONName(), found.JSONName())
	}
	if was, is := oneofName(old), oneofName(found); was != is {
		d.report(old, "keep it where it was, and add a field for the new place", "it moved from %s to %s", was, is)
	}
}

func (d *differ) goneField(old protoreflect.FieldDescriptor, in protoreflect.MessageDescriptor) {
	if moved := in.Fields().ByName(old.Name()); moved != nil {
		d.report(old, "keep the number: messages are written with it", "its number changed from %d to %d", old.Number(), moved.Number())
		return
	}
	if !in.ReservedRanges().Has(old.Number()) || !in.ReservedNames().Has(old.Name()) {
		d.report(old, fmt.Sprintf("keep it, marked deprecated, or write reserved %d; reserved %q;", old.Number(), old.Name()),
			"the field is gone, and its number and name are not reserved")
	}
}

func typeName(fd protoreflect.FieldDescriptor) string {
	switch {
	case fd.Enum() != nil:
		return string(fd.Enum().FullName())
	case fd.IsMap():
		return "map" // its key and value are fields of its entry
	case fd.Message() != nil:
		return string(fd.Message().FullName())
	}
	return fd.Kind().String()
}

func cardinality(fd protoreflect.FieldDescriptor) string {
	switch {
	case fd.IsMap():
		return "a map"
	case fd.IsList():
		return "a list"
	case fd.Cardinality() == protoreflect.Required:
		return "a required value"
	}
	return "one value"
}

func oneofName(fd protoreflect.FieldDescriptor) string {
	if o := fd.ContainingOneof(); o != nil && !o.IsSynthetic() {
		return "the oneof " + string(o.Name())
	}
	return "no oneof"
}

func (d *differ) enums(enums protoreflect.EnumDescriptors) {
	for i := range enums.Len() {
		old := enums.Get(i)
		found, ok := counterpart(d, old, "enum")
		if !ok {
			continue
		}
		was, reasons := reasonDomain(old)
		if is, _ := reasonDomain(found); was != is {
			d.report(old, "keep the domain: callers tell reasons by it", "the domain of its reasons changed from %q to %q", was, is)
		}
		for j := range old.Values().Len() {
			d.value(old.Values().Get(j), found, reasons)
		}
	}
}

func (d *differ) value(old protoreflect.EnumValueDescriptor, in protoreflect.EnumDescriptor, reason bool) {
	found := in.Values().ByName(old.Name())
	heir := in.Values().ByNumber(old.Number())
	switch {
	case found != nil && found.Number() != old.Number():
		d.report(old, "keep the number: messages are written with it", "its number changed from %d to %d", old.Number(), found.Number())
	case found != nil:
		if was, is := codeName(old), codeName(found); was != is {
			d.report(old, "keep the code, and add a reason for the new one", "its status code changed from %q to %q", was, is)
		}
	case heir != nil:
		d.reportAt(heir, old, "keep the name: JSON and programs use it", "the value with number %d is called %s now", old.Number(), heir.Name())
	case reason:
		d.report(old, "keep it, marked deprecated", "the error reason is gone, and callers may wait for it")
	case !in.ReservedRanges().Has(old.Number()) || !in.ReservedNames().Has(old.Name()):
		d.report(old, fmt.Sprintf("keep it, marked deprecated, or write reserved %d; reserved %q;", old.Number(), old.Name()),
			"the value is gone, and its number and name are not reserved")
	}
}
