package contract

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

func (d *differ) service(old protoreflect.ServiceDescriptor) {
	found, ok := counterpart(d, old, "service")
	if !ok {
		return
	}
	// What either contradicts in itself is Check's to say.
	was := (&reader{routes: map[string]*Method{}}).service(old)
	is := (&reader{routes: map[string]*Method{}}).service(found)
	if was.JSON != is.JSON {
		d.report(old, "keep it, or make a new version of the package", "the way its messages look in JSON changed")
	}
	for _, m := range was.Methods {
		now := is.Method(m.Name)
		if now == nil {
			d.report(m.Desc, "keep it, marked deprecated, or make a new version of the package", "the method is gone")
			continue
		}
		d.signature(m, now)
		d.routes(m, now)
		d.access(m, now)
		d.retries(m, now)
	}
}

func (d *differ) signature(was, is *Method) {
	const remedy = "keep it, and add a method for the new one"
	if a, b := was.Desc.Input().FullName(), is.Desc.Input().FullName(); a != b {
		d.report(was.Desc, remedy, "its request changed from %s to %s", a, b)
	}
	if a, b := was.Desc.Output().FullName(), is.Desc.Output().FullName(); a != b {
		d.report(was.Desc, remedy, "its response changed from %s to %s", a, b)
	}
	if a, b := streaming(was), streaming(is); a != b {
		d.report(was.Desc, remedy, "it changed from %s to %s", a, b)
	}
}

func streaming(m *Method) string {
	switch {
	case m.ClientStreams && m.ServerStreams:
		return "streams both ways"
	case m.ClientStreams:
		return "a client stream"
	case m.ServerStreams:
		return "a server stream"
	}
	return "a unary call"
}

func (d *differ) routes(was, is *Method) {
	for _, old := range was.Routes {
		i := slices.IndexFunc(is.Routes, func(r Route) bool {
			return r.Method == old.Method && r.Template.Shape() == old.Template.Shape()
		})
		at := old.Method + " " + old.Pattern
		if i < 0 {
			d.report(was.Desc, "keep the route, and put the new one into additional_bindings", "the route %s is gone", at)
			continue
		}
		found := is.Routes[i]
		if old.Body != found.Body {
			d.report(was.Desc, "keep the body", "the body of %s changed from %q to %q", at, old.Body, found.Body)
		}
		if old.ResponseBody != found.ResponseBody {
			d.report(was.Desc, "keep the response_body", "the response body of %s changed from %q to %q", at, old.ResponseBody, found.ResponseBody)
		}
	}
}

// access orders the ways to open a method by how many they let in.
func (d *differ) access(was, is *Method) {
	strictness := []Access{AccessPublic, AccessAuthenticated, AccessRoles, AccessInternal}
	const remedy = "keep it as it was, or move callers to a new method first"
	if slices.Index(strictness, is.Access) > slices.Index(strictness, was.Access) {
		d.report(was.Desc, remedy, "its access is tighter: it was %s and is %s", was.Access, is.Access)
		return
	}
	if is.Access != AccessRoles {
		return
	}
	lost := slices.DeleteFunc(slices.Clone(was.Roles), func(role string) bool { return slices.Contains(is.Roles, role) })
	if len(lost) > 0 {
		d.report(was.Desc, remedy, "its access is tighter: it was open to %s too", strings.Join(lost, ", "))
	}
}

func (d *differ) retries(was, is *Method) {
	const remedy = "keep its idempotency_level: callers built with the old one retry"
	switch {
	case was.Safe && !is.Safe:
		d.report(was.Desc, remedy, "it had no side effects, and says so no longer")
	case was.Idempotent && !is.Idempotent:
		d.report(was.Desc, remedy, "it was idempotent, and says so no longer")
	}
	if was.IdempotencyKey != KeyRequired && is.IdempotencyKey == KeyRequired {
		d.report(was.Desc, "accept the key and do not require it, until all callers send one", "it requires an idempotency key now")
	}
}
