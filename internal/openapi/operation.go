package openapi

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/internal/transcode"
)

func (b *builder) parameters(m *contract.Method, r contract.Route) []*parameter {
	var out []*parameter
	in := m.Desc.Input()
	bound := map[string]bool{}
	for _, v := range r.Template.Variables {
		bound[v.Field] = true
		p := &parameter{Name: v.Field, In: "path", Required: true, Schema: &schema{Type: "string"}}
		if fd := follow(in, v.Field); fd != nil {
			p.Schema, p.Description = b.field(fd), comment(fd)
		}
		if v.End-v.Start > 1 || r.Template.Segments[v.Start].Kind != contract.Any {
			p.Description = strings.TrimSpace(p.Description + " Matches " + segments(r.Template.Segments[v.Start:v.End]) + ".")
		}
		out = append(out, p)
	}
	if r.Body != "*" {
		out = append(out, b.query(in, "", r.Body, bound, nil)...)
	}
	if m.IdempotencyKey != contract.KeyNone {
		out = append(out, &parameter{Name: "Idempotency-Key", In: "header", Required: m.IdempotencyKey == contract.KeyRequired,
			Description: "Makes repeats of the call have one effect: the same value for the same operation.",
			Schema:      &schema{Type: "string", MaxLength: new(uint64(255))}})
	}
	return out
}

func segments(all []contract.Segment) string {
	texts := make([]string, len(all))
	for i, s := range all {
		texts[i] = s.String()
	}
	return strings.Join(texts, "/")
}

func follow(md protoreflect.MessageDescriptor, path string) protoreflect.FieldDescriptor {
	name, rest, more := strings.Cut(path, ".")
	fd := md.Fields().ByName(protoreflect.Name(name))
	if fd == nil || !more {
		return fd
	}
	if fd.Message() == nil {
		return nil
	}
	return follow(fd.Message(), rest)
}

// query lists the fields that can be given as query parameters, those of
// messages inside by their paths.
func (b *builder) query(md protoreflect.MessageDescriptor, prefix, skip string, bound map[string]bool, above []protoreflect.FullName) []*parameter {
	if slices.Contains(above, md.FullName()) {
		return nil // a message that holds itself could go on for ever
	}
	above = append(above, md.FullName())
	var out []*parameter
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		path := prefix + string(fd.Name())
		switch {
		case path == skip || bound[path] || fd.IsMap():
		case fd.Message() == nil || wellKnown(fd.Message()) == asText:
			out = append(out, &parameter{Name: path, In: "query", Description: comment(fd), Required: contract.Rules(fd).GetRequired(), Schema: b.field(fd)})
		case !fd.IsList() && wellKnown(fd.Message()) == asObject:
			out = append(out, b.query(fd.Message(), path+".", skip, bound, above)...)
		}
	}
	return out
}

func (b *builder) requestBody(m *contract.Method, r contract.Route) *body {
	if r.Body == "" {
		return nil
	}
	in := m.Desc.Input()
	var s *schema
	raw := in
	if r.Body == "*" {
		s = b.message(in)
	} else if fd := in.Fields().ByName(protoreflect.Name(r.Body)); fd != nil {
		s, raw = b.field(fd), fd.Message()
	}
	if raw != nil && raw.FullName() == "google.api.HttpBody" {
		return &body{Content: map[string]mediaType{"*/*": {}}}
	}
	contentType, description := "application/json", ""
	if m.ClientStreams {
		contentType, description = transcode.NDJSON, "One message per line."
	}
	return &body{Required: true, Description: description, Content: map[string]mediaType{contentType: {Schema: s}}}
}

func (b *builder) responses(m *contract.Method, r contract.Route) map[string]*response {
	out := m.Desc.Output()
	ok := &response{Description: "OK", Content: map[string]mediaType{}}
	switch {
	case out.FullName() == "google.api.HttpBody":
		ok.Content["*/*"] = mediaType{}
	case m.ServerStreams:
		ok.Description = "A stream of messages: one per line, or as events."
		ok.Content[transcode.NDJSON] = mediaType{Schema: b.message(out)}
		ok.Content[transcode.SSE] = mediaType{Schema: &schema{Type: "string"}}
	case r.ResponseBody != "":
		if fd := out.Fields().ByName(protoreflect.Name(r.ResponseBody)); fd != nil {
			ok.Content["application/json"] = mediaType{Schema: b.field(fd)}
		}
	default:
		ok.Content["application/json"] = mediaType{Schema: b.message(out)}
	}
	problem := map[string]mediaType{"application/problem+json": {Schema: reference(problemName)}}
	all := map[string]*response{
		"200":     ok,
		"400":     {Description: "The request does not fit its contract; the violations name the fields.", Content: problem},
		"default": {Description: "The call did not succeed; the problem says why.", Content: problem},
	}
	if m.Access != contract.AccessPublic {
		all["401"] = &response{Description: "Nobody is signed in, or the token is not valid.", Content: problem}
	}
	if m.Access == contract.AccessRoles {
		all["403"] = &response{Description: "The caller needs the role " + strings.Join(m.Roles, " or ") + ".", Content: problem}
	}
	if len(m.RateLimits) > 0 {
		all["429"] = &response{Description: "Too many requests; Retry-After says how long to wait.", Content: problem}
	}
	return all
}
