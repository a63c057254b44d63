package contract

import (
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// healthService is the one service whose calls are never shed.
const healthService = "grpc.health.v1.Health"

// Check returns what is wrong with the contracts of the files given, alone
// and together.
func Check(files ...protoreflect.FileDescriptor) Problems {
	r := &reader{routes: map[string]*Method{}}
	for _, fd := range files {
		for i := range fd.Services().Len() {
			r.service(fd.Services().Get(i))
		}
		r.checkEnums(fd.Enums())
		r.checkMessages(fd.Messages())
	}
	r.problems.Sort()
	return r.problems
}

func (r *reader) checkAccess(m *Method) {
	switch {
	case m.Access == AccessRoles && len(m.Roles) == 0:
		r.report(m.Desc, `list them, such as roles: "staff"`, "it is for roles, and lists none")
	case m.Access != AccessRoles && len(m.Roles) > 0:
		r.report(m.Desc, "write access: ACCESS_ROLES, or leave the roles out", "it lists roles, and its access is %s", m.Access)
	}
	for i, role := range m.Roles {
		if role == "" {
			r.report(m.Desc, "leave it out", "a role is empty")
		} else if slices.Contains(m.Roles[:i], role) {
			r.report(m.Desc, "leave it out once", "the role %s is listed twice", role)
		}
	}
}

func (r *reader) checkPolicy(m *Method) {
	if m.Safe && m.IdempotencyKey == KeyRequired {
		r.report(m.Desc, "leave the key out", "it requires an idempotency key, and has no side effects")
	}
	if m.Priority >= PriorityCritical && m.Service != healthService {
		r.report(m.Desc, "write PRIORITY_HIGH, which is shed last", "only health may be critical")
	}
	if m.Cache == nil {
		return
	}
	switch {
	case !m.Unary():
		r.report(m.Desc, "leave the cache out", "its answer is to be cached, and it streams")
	case !m.Safe:
		r.report(m.Desc, "write option idempotency_level = NO_SIDE_EFFECTS, or leave the cache out", "its answer is to be cached, and it has side effects")
	}
	if m.Cache.Shared && m.Access != AccessPublic {
		r.report(m.Desc, "leave shared out, so that each caller has its own answer", "its answer is shared by all callers, and its access is %s", m.Access)
	}
}

func (r *reader) checkMessages(messages protoreflect.MessageDescriptors) {
	for i := range messages.Len() {
		md := messages.Get(i)
		if key, _ := EventKey(md); key != "" {
			if err := scalar(md, key); err != nil {
				r.report(md, "name a field of the event that holds one plain value", "its key %s cannot order events: %v", key, err)
			}
		}
		r.checkEnums(md.Enums())
		r.checkMessages(md.Messages())
	}
}

func (r *reader) checkEnums(enums protoreflect.EnumDescriptors) {
	for i := range enums.Len() {
		ed := enums.Get(i)
		domain, reasons := reasonDomain(ed)
		if reasons && domain == "" {
			r.report(ed, `write option (warren.v1.reasons) = {domain: "catalog.shop"}`, "its reasons have no domain")
		}
		for j := range ed.Values().Len() {
			r.checkReason(ed.Values().Get(j), reasons)
		}
	}
}

func (r *reader) checkReason(value protoreflect.EnumValueDescriptor, reasons bool) {
	name := codeName(value)
	_, known := codeOf(value)
	switch {
	case !reasons && name != "":
		r.report(value, "give the enum the option (warren.v1.reasons), with a domain", "it has a status code, and its enum lists no reasons")
	case !reasons || known:
	case name == "" && value.Number() == 0:
		// No reason: what is there when nobody set one.
	case name == "":
		r.report(value, `write [(warren.v1.code) = "NOT_FOUND"] or another code behind it`, "the reason has no status code")
	default:
		r.report(value, `write the gRPC name of an error, such as "NOT_FOUND"`, "its status code %q does not exist", name)
	}
}
