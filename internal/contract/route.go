package contract

import (
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Route is one place of a method in REST.
type Route struct {
	Method       string // "GET"
	Pattern      string // as the contract writes it: "/v1/products/{sku}"
	Body         string // the request field in the body, "*" for all that the path leaves; empty: no body
	ResponseBody string // the response field that is the body; empty: the whole response
	Template     Template
}

func (r *reader) httpRule(m *Method, rule *annotations.HttpRule) {
	r.route(m, rule)
	for _, more := range rule.GetAdditionalBindings() {
		if len(more.GetAdditionalBindings()) > 0 {
			r.report(m.Desc, "list all bindings in the outermost rule", "an additional binding has additional bindings of its own")
		}
		r.route(m, more)
	}
}

func (r *reader) route(m *Method, rule *annotations.HttpRule) {
	route := Route{Body: rule.GetBody(), ResponseBody: rule.GetResponseBody()}
	route.Method, route.Pattern = verbAndPath(rule)
	if route.Method == "" || route.Method == "*" {
		r.report(m.Desc, `write one of get, put, post, delete and patch, such as get: "/v1/things"`, "its REST route has no HTTP method")
		return
	}
	template, err := ParseTemplate(route.Pattern)
	if err != nil {
		r.report(m.Desc, `write a path such as "/v1/things/{thing_id}"`, "its REST route cannot be read: %v", err)
		return
	}
	route.Template = template
	m.Routes = append(m.Routes, route)
	r.checkRoute(m, route)
}

func verbAndPath(rule *annotations.HttpRule) (verb, path string) {
	switch p := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return "GET", p.Get
	case *annotations.HttpRule_Put:
		return "PUT", p.Put
	case *annotations.HttpRule_Post:
		return "POST", p.Post
	case *annotations.HttpRule_Delete:
		return "DELETE", p.Delete
	case *annotations.HttpRule_Patch:
		return "PATCH", p.Patch
	case *annotations.HttpRule_Custom:
		return strings.ToUpper(p.Custom.GetKind()), p.Custom.GetPath()
	}
	return "", ""
}

func (r *reader) checkRoute(m *Method, route Route) {
	at := route.Method + " " + route.Pattern
	key := route.Method + " " + route.Template.Shape()
	if other, ok := r.routes[key]; ok {
		r.report(m.Desc, "give one of the two another path", "%s is already the route of %s", at, other.FullName)
	} else {
		r.routes[key] = m
	}
	if !m.External() {
		r.report(m.Desc, "open it with access: ACCESS_PUBLIC, ACCESS_AUTHENTICATED or ACCESS_ROLES, or remove the route",
			"%s cannot be reached: the method is internal", at)
	}
	for _, v := range route.Template.Variables {
		if err := scalar(m.Desc.Input(), v.Field); err != nil {
			r.report(m.Desc, "name a field of the request that holds one plain value", "%s binds {%s} to no field that could hold it: %v", at, v.Field, err)
		}
	}
	r.checkBodies(m, route, at)
	r.checkSecrets(m, route, at)
}

func (r *reader) checkBodies(m *Method, route Route, at string) {
	bodyless := route.Method == "GET" || route.Method == "HEAD"
	switch {
	case bodyless && route.Body != "":
		r.report(m.Desc, "leave the body out, or make it a POST", "%s has a body", at)
	case bodyless && m.ClientStreams:
		r.report(m.Desc, "make it a POST", "%s cannot carry the stream that the method takes", at)
	case route.Body != "" && route.Body != "*" && m.Desc.Input().Fields().ByName(protoreflect.Name(route.Body)) == nil:
		r.report(m.Desc, `name a field of the request, or write body: "*"`,
			"%s has the body %s, and %s has no such field", at, route.Body, m.Desc.Input().FullName())
	}
	if route.ResponseBody != "" && m.Desc.Output().Fields().ByName(protoreflect.Name(route.ResponseBody)) == nil {
		r.report(m.Desc, "name a field of the response, or leave response_body out",
			"%s answers with %s, and %s has no such field", at, route.ResponseBody, m.Desc.Output().FullName())
	}
}

// checkSecrets keeps secrets out of URLs, which end up in logs and histories.
func (r *reader) checkSecrets(m *Method, route Route, at string) {
	var exposed []string
	for _, v := range route.Template.Variables {
		if fd, err := findField(m.Desc.Input(), v.Field); err == nil && Secret(fd) {
			exposed = append(exposed, v.Field)
		}
	}
	for _, path := range secrets(m.Desc.Input()) {
		inBody := route.Body == "*" || route.Body != "" && (path == route.Body || strings.HasPrefix(path, route.Body+"."))
		if !inBody && !slices.Contains(exposed, path) {
			exposed = append(exposed, path)
		}
	}
	for _, path := range exposed {
		r.report(m.Desc, "make it a POST that carries the field in its body", "%s puts the secret field %s into the URL", at, path)
	}
}
