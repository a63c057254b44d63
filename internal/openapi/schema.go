package openapi

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gowarren/warren/internal/contract"
)

// schema is the part of JSON Schema that contracts need.
type schema struct {
	Ref                  string             `json:"$ref,omitempty"`
	Type                 string             `json:"type,omitempty"`
	Format               string             `json:"format,omitempty"`
	Description          string             `json:"description,omitempty"`
	Properties           map[string]*schema `json:"properties,omitempty"`
	Required             []string           `json:"required,omitempty"`
	AdditionalProperties any                `json:"additionalProperties,omitempty"` // a *schema or false
	Items                *schema            `json:"items,omitempty"`
	Enum                 []any              `json:"enum,omitempty"`
	Const                any                `json:"const,omitempty"`
	ContentEncoding      string             `json:"contentEncoding,omitempty"`
	Pattern              string             `json:"pattern,omitempty"`
	MinLength            *uint64            `json:"minLength,omitempty"`
	MaxLength            *uint64            `json:"maxLength,omitempty"`
	MinItems             *uint64            `json:"minItems,omitempty"`
	MaxItems             *uint64            `json:"maxItems,omitempty"`
	UniqueItems          bool               `json:"uniqueItems,omitempty"`
	MinProperties        *uint64            `json:"minProperties,omitempty"`
	MaxProperties        *uint64            `json:"maxProperties,omitempty"`
	Minimum              any                `json:"minimum,omitempty"`
	Maximum              any                `json:"maximum,omitempty"`
	ExclusiveMinimum     any                `json:"exclusiveMinimum,omitempty"`
	ExclusiveMaximum     any                `json:"exclusiveMaximum,omitempty"`
}

func reference(name string) *schema { return &schema{Ref: "#/components/schemas/" + name} }

// message returns the schema of a message, by reference if it is an object of
// the contract.
func (b *builder) message(md protoreflect.MessageDescriptor) *schema {
	if wellKnown(md) != asObject || md.FullName() == "google.protobuf.Empty" {
		return b.wellKnown(md)
	}
	name := string(md.FullName())
	if b.doc.Components.Schemas[name] == nil {
		s := &schema{Type: "object", Description: comment(md), Properties: map[string]*schema{}, AdditionalProperties: false}
		b.doc.Components.Schemas[name] = s // before its fields: messages may hold themselves
		for i := range md.Fields().Len() {
			fd := md.Fields().Get(i)
			s.Properties[fd.JSONName()] = b.described(fd)
			if contract.Rules(fd).GetRequired() {
				s.Required = append(s.Required, fd.JSONName())
			}
		}
		s.Description = strings.TrimSpace(s.Description + oneofs(md))
	}
	return reference(name)
}

// oneofs says in words what JSON Schema could say only by listing every
// combination.
func oneofs(md protoreflect.MessageDescriptor) string {
	var text strings.Builder
	for i := range md.Oneofs().Len() {
		od := md.Oneofs().Get(i)
		if od.IsSynthetic() {
			continue
		}
		names := make([]string, od.Fields().Len())
		for j := range names {
			names[j] = od.Fields().Get(j).JSONName()
		}
		text.WriteString("\n\nAt most one of " + strings.Join(names, ", ") + " is set.")
	}
	return text.String()
}

// described is the schema of a field with what the contract says of it.
func (b *builder) described(fd protoreflect.FieldDescriptor) *schema {
	s := b.field(fd)
	if text := comment(fd); text != "" {
		s.Description = text
	}
	if contract.Secret(fd) && s.Type == "string" && s.Format == "" {
		// Not writeOnly: what is in no answer, clients leave out of answers, and
		// some secrets are what an answer is for.
		s.Format = "password"
	}
	return s
}

func (b *builder) field(fd protoreflect.FieldDescriptor) *schema {
	var s *schema
	switch {
	case fd.IsMap():
		s = &schema{Type: "object", AdditionalProperties: b.value(fd.MapValue())}
	case fd.IsList():
		s = &schema{Type: "array", Items: b.value(fd)}
	default:
		s = b.value(fd)
	}
	constrain(s, fd)
	return s
}

func (b *builder) value(fd protoreflect.FieldDescriptor) *schema {
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return b.message(fd.Message())
	case protoreflect.EnumKind:
		return b.enum(fd.Enum())
	case protoreflect.BoolKind:
		return &schema{Type: "boolean"}
	case protoreflect.StringKind:
		return &schema{Type: "string"}
	case protoreflect.BytesKind:
		return &schema{Type: "string", ContentEncoding: "base64"}
	case protoreflect.FloatKind:
		return &schema{Type: "number", Format: "float"}
	case protoreflect.DoubleKind:
		return &schema{Type: "number", Format: "double"}
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return &schema{Type: "integer", Format: "int32"}
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return &schema{Type: "integer", Format: "uint32"}
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return b.long("uint64")
	}
	return b.long("int64")
}

// long is a string in proto3 JSON, because JavaScript would round a number.
func (b *builder) long(format string) *schema {
	if b.json.Int64Numbers {
		return &schema{Type: "integer", Format: format}
	}
	return &schema{Type: "string", Format: format}
}

func (b *builder) enum(ed protoreflect.EnumDescriptor) *schema {
	if ed.FullName() == "google.protobuf.NullValue" {
		return &schema{Type: "null"}
	}
	name := string(ed.FullName())
	if b.doc.Components.Schemas[name] == nil {
		s := &schema{Type: "string", Description: comment(ed)}
		if b.json.EnumNumbers {
			s.Type = "integer"
		}
		for i := range ed.Values().Len() {
			v := ed.Values().Get(i)
			if b.json.EnumNumbers {
				s.Enum = append(s.Enum, int32(v.Number()))
			} else {
				s.Enum = append(s.Enum, string(v.Name()))
			}
		}
		b.doc.Components.Schemas[name] = s
	}
	return reference(name)
}

// form says how a message looks in JSON.
type form int

const (
	asObject form = iota // its fields
	asText               // a string, number or boolean
	asValue              // something else
)

func wellKnown(md protoreflect.MessageDescriptor) form {
	switch md.FullName() {
	case "google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask",
		"google.protobuf.StringValue", "google.protobuf.BytesValue", "google.protobuf.BoolValue",
		"google.protobuf.Int32Value", "google.protobuf.UInt32Value", "google.protobuf.Int64Value", "google.protobuf.UInt64Value",
		"google.protobuf.FloatValue", "google.protobuf.DoubleValue":
		return asText
	case "google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue", "google.protobuf.Any", "google.api.HttpBody":
		return asValue
	}
	return asObject
}

func (b *builder) wellKnown(md protoreflect.MessageDescriptor) *schema {
	switch md.FullName() {
	case "google.protobuf.Timestamp":
		return &schema{Type: "string", Format: "date-time"}
	case "google.protobuf.Duration":
		return &schema{Type: "string", Pattern: `^-?[0-9]+(\.[0-9]{1,9})?s$`, Description: "A time span in seconds, such as 1.5s."}
	case "google.protobuf.FieldMask":
		return &schema{Type: "string", Description: "The names of fields, separated by commas."}
	case "google.protobuf.Struct", "google.protobuf.Empty":
		return &schema{Type: "object"}
	case "google.protobuf.ListValue":
		return &schema{Type: "array", Items: &schema{}}
	case "google.protobuf.Any":
		return &schema{Type: "object", Properties: map[string]*schema{"@type": {Type: "string"}}, Required: []string{"@type"}}
	case "google.protobuf.Value", "google.api.HttpBody":
		return &schema{}
	}
	return b.value(md.Fields().ByName("value")) // a wrapper
}

const problemName = "Problem"

// problemSchema describes what every error looks like.
func problemSchema() *schema {
	text := func(description string) *schema { return &schema{Type: "string", Description: description} }
	return &schema{
		Type: "object", Description: "Why a call did not succeed (RFC 9457).", Required: []string{"type", "title", "status", "code"},
		Properties: map[string]*schema{
			"type": text("Always about:blank."), "title": text("The status in words."),
			"status": {Type: "integer", Format: "int32"}, "detail": text("What happened, for people."),
			"code": text("The canonical code: NOT_FOUND."), "reason": text("Names the failure, for programs."),
			"domain": text("Where the reason is unique."), "request_id": text("The request's name in logs."), "trace_id": text("The request's trace."),
			"metadata": {Type: "object", AdditionalProperties: &schema{Type: "string"}},
			"violations": {Type: "array", Items: &schema{Type: "object", Properties: map[string]*schema{
				"field": text("The path of the field."), "description": text("What is wrong with it."),
			}}},
		},
	}
}
