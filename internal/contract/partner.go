package contract

import (
	"google.golang.org/protobuf/reflect/protoreflect"
)

// checkPartners checks the methods that undo, confirm and cancel another.
func (r *reader) checkPartners(s *Service, m *Method) {
	r.checkPartner(s, m, "compensate", m.Compensate)
	r.checkPartner(s, m, "confirm", m.Confirm)
	r.checkPartner(s, m, "cancel", m.Cancel)
	switch {
	case (m.Confirm == "") != (m.Cancel == ""):
		r.report(m.Desc, "name both, or none", "it has one of confirm and cancel without the other")
	case m.Confirm != "" && m.Confirm == m.Cancel:
		r.report(m.Desc, "name two methods", "%s both confirms and cancels it", m.Confirm)
	}
	if m.Compensate == "" && m.Confirm == "" && m.Cancel == "" {
		return
	}
	switch {
	case m.Safe:
		r.report(m.Desc, "leave compensate, confirm and cancel out, or change its idempotency_level",
			"it has no side effects, so there is nothing to undo or confirm")
	case !m.Unary():
		r.report(m.Desc, "leave compensate, confirm and cancel out, or have it take one message and return one",
			"it streams, so it cannot be a step of a transaction")
	}
}

func (r *reader) checkPartner(s *Service, m *Method, role, name string) {
	if name == "" {
		return
	}
	partner := s.Method(name)
	switch {
	case partner == nil:
		r.report(m.Desc, "name a method of the same service, without its package", "its %s method %s does not exist in %s", role, name, s.Name)
	case partner == m:
		r.report(m.Desc, "name another method", "it is its own %s method", role)
	case partner.Safe:
		r.report(m.Desc, "name a method that changes something, or change its idempotency_level", "its %s method %s has no side effects", role, name)
	case !partner.Unary():
		r.report(m.Desc, "name a method that takes one message and returns one", "its %s method %s streams", role, name)
	default:
		r.checkSubset(m, role, partner)
	}
}

// checkSubset checks that a partner's request can be read from the bytes of
// the action's: the coordinator sends the one as the other. Names count too,
// so that a request means in JSON what it means on the wire.
func (r *reader) checkSubset(m *Method, role string, partner *Method) {
	action, own := m.Desc.Input(), partner.Desc.Input()
	if action.FullName() == own.FullName() {
		return
	}
	for i := range own.Fields().Len() {
		fd := own.Fields().Get(i)
		in := action.Fields().ByName(fd.Name())
		switch {
		case in == nil:
			r.report(fd, "add it to "+string(action.FullName())+" with the same number and type, or leave it out",
				"%s is the %s method of %s, and that one's request has no field %s", partner.Name, role, m.Name, fd.Name())
		case in.Number() != fd.Number():
			r.report(fd, "give both the same number", "%s is the %s method of %s, in whose request %s is number %d, not %d",
				partner.Name, role, m.Name, fd.Name(), in.Number(), fd.Number())
		case written(in) != written(fd):
			r.report(fd, "give both the same type", "%s is the %s method of %s, in whose request %s is %s, not %s",
				partner.Name, role, m.Name, fd.Name(), written(in), written(fd))
		}
	}
}

// written is a field's type as a contract writes it.
func written(fd protoreflect.FieldDescriptor) string {
	switch {
	case fd.IsMap():
		return "map<" + typeName(fd.MapKey()) + ", " + typeName(fd.MapValue()) + ">"
	case fd.IsList():
		return "repeated " + typeName(fd)
	default:
		return typeName(fd)
	}
}
