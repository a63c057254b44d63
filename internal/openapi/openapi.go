// Package openapi describes the routes of contracts as an OpenAPI 3.1
// document, so that clients in any language can be generated, and every call
// be tried out.
package openapi

import (
	"encoding/json"
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gowarren/warren/internal/contract"
)

// Info heads the document.
type Info struct {
	Title   string `json:"title"`
	Version string `json:"version"`
}

type document struct {
	OpenAPI    string                           `json:"openapi"`
	Info       Info                             `json:"info"`
	Tags       []tag                            `json:"tags,omitempty"`
	Paths      map[string]map[string]*operation `json:"paths"`
	Components components                       `json:"components"`
}

type tag struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
}

type components struct {
	Schemas         map[string]*schema        `json:"schemas"`
	SecuritySchemes map[string]securityScheme `json:"securitySchemes"`
}

type securityScheme struct {
	Type         string `json:"type"`
	Scheme       string `json:"scheme"`
	BearerFormat string `json:"bearerFormat"`
}

type operation struct {
	OperationID string                `json:"operationId"`
	Summary     string                `json:"summary,omitempty"`
	Description string                `json:"description,omitempty"`
	Tags        []string              `json:"tags"`
	Deprecated  bool                  `json:"deprecated,omitempty"`
	Parameters  []*parameter          `json:"parameters,omitempty"`
	RequestBody *body                 `json:"requestBody,omitempty"`
	Responses   map[string]*response  `json:"responses"`
	Security    []map[string][]string `json:"security"`
	Method      string                `json:"x-grpc-method"`
	Access      string                `json:"x-access"`
	Roles       []string              `json:"x-roles,omitempty"`
}

type parameter struct {
	Name        string  `json:"name"`
	In          string  `json:"in"`
	Description string  `json:"description,omitempty"`
	Required    bool    `json:"required,omitempty"`
	Schema      *schema `json:"schema"`
}

type body struct {
	Description string               `json:"description,omitempty"`
	Required    bool                 `json:"required,omitempty"`
	Content     map[string]mediaType `json:"content"`
}

type mediaType struct {
	Schema *schema `json:"schema,omitempty"`
}

type response struct {
	Description string               `json:"description"`
	Content     map[string]mediaType `json:"content,omitempty"`
}

// Document describes the external methods of the contracts.
func Document(info Info, services []*contract.Service) ([]byte, error) {
	if info.Title == "" {
		info.Title = "Warren"
	}
	if info.Version == "" {
		info.Version = "0"
	}
	b := &builder{doc: document{
		OpenAPI: "3.1.0", Info: info, Paths: map[string]map[string]*operation{},
		Components: components{
			Schemas:         map[string]*schema{problemName: problemSchema()},
			SecuritySchemes: map[string]securityScheme{"bearer": {Type: "http", Scheme: "bearer", BearerFormat: "JWT"}},
		},
	}, ids: map[string]bool{}, shapes: map[string]place{}}
	for _, s := range services {
		b.service(s)
	}
	out, err := json.Marshal(b.doc)
	if err != nil {
		return nil, fmt.Errorf("write OpenAPI document: %w", err)
	}
	return out, nil
}

// builder collects the document; json is that of the service at hand.
type builder struct {
	doc    document
	json   contract.JSON
	ids    map[string]bool
	shapes map[string]place
}

// place is where a path of some shape stands in the document. OpenAPI holds
// /things/{id} and /things/{thing.id} for one path and wants one of them.
type place struct {
	path  string
	names []string // of its parameters
}

func (b *builder) service(s *contract.Service) {
	b.json = s.JSON
	routed := false
	for _, m := range s.Methods {
		if !m.External() {
			continue
		}
		for _, r := range m.Routes {
			b.route(m, r)
			routed = true
		}
	}
	if routed {
		b.doc.Tags = append(b.doc.Tags, tag{Name: s.Name, Description: comment(s.Desc)})
	}
}

func (b *builder) route(m *contract.Method, r contract.Route) {
	at := b.place(r.Template)
	methods := b.doc.Paths[at.path]
	if methods == nil {
		methods = map[string]*operation{}
		b.doc.Paths[at.path] = methods
	}
	method := strings.ToLower(r.Method)
	if methods[method] != nil {
		return // two shapes that OpenAPI cannot tell apart: the first is shown
	}
	summary, description, _ := strings.Cut(comment(m.Desc), "\n\n")
	op := &operation{
		OperationID: b.operationID(m), Summary: summary, Description: description, Tags: []string{m.Service},
		Deprecated: deprecated(m.Desc), Method: m.FullName, Access: m.Access.String(), Roles: m.Roles,
		Parameters: b.parameters(m, r), RequestBody: b.requestBody(m, r), Responses: b.responses(m, r),
		Security: []map[string][]string{},
	}
	if m.Access != contract.AccessPublic {
		op.Security = append(op.Security, map[string][]string{"bearer": {}})
	}
	for i, name := range at.names {
		op.Parameters[i].Name = name
	}
	methods[method] = op
}

// place returns where the template's operations stand: the first of its shape
// gives the parameters their names.
func (b *builder) place(t contract.Template) place {
	shape := pathOf(t, func(contract.Variable) string { return "" })
	if at, known := b.shapes[shape]; known {
		return at
	}
	at := place{}
	at.path = pathOf(t, func(v contract.Variable) string {
		at.names = append(at.names, v.Field)
		return v.Field
	})
	b.shapes[shape] = at
	return at
}

func deprecated(d protoreflect.Descriptor) bool {
	o, ok := d.Options().(interface{ GetDeprecated() bool })
	return ok && o.GetDeprecated()
}

// operationID names an operation uniquely: a method may have several routes.
func (b *builder) operationID(m *contract.Method) string {
	id := string(m.Desc.Parent().Name()) + "_" + m.Name
	if b.ids[id] {
		id = m.Service + "_" + m.Name
	}
	for n, base := 2, id; b.ids[id]; n++ {
		id = fmt.Sprintf("%s_%d", base, n)
	}
	b.ids[id] = true
	return id
}

// pathOf writes a template as OpenAPI does: a variable of several segments is
// one there, called what name says.
func pathOf(t contract.Template, name func(contract.Variable) string) string {
	var path strings.Builder
	for i := 0; i < len(t.Segments); i++ {
		path.WriteByte('/')
		named := false
		for _, v := range t.Variables {
			if v.Start == i {
				path.WriteString("{" + name(v) + "}")
				i, named = v.End-1, true
			}
		}
		if !named {
			path.WriteString(t.Segments[i].String())
		}
	}
	if t.Verb != "" {
		path.WriteString(":" + t.Verb)
	}
	if path.Len() == 0 {
		return "/"
	}
	return path.String()
}

// comment is what the contract says of an element, where its descriptor has
// kept it.
func comment(d protoreflect.Descriptor) string {
	text := d.ParentFile().SourceLocations().ByDescriptor(d).LeadingComments
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, " ")
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}
