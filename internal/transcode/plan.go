// Package transcode turns HTTP requests into messages of a contract and
// messages into answers: by google.api.http and the proto3 JSON mapping, with
// one plan per route that is compiled when the route appears. It is strict:
// what a request says and the contract does not know is an error that names it.
package transcode

import (
	"fmt"
	"mime"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/gowarren/warren/internal/contract"
)

// Resolver finds the types inside google.protobuf.Any.
type Resolver interface {
	protoregistry.MessageTypeResolver
	protoregistry.ExtensionTypeResolver
}

// Plan is one route, ready to run. It is immutable and safe for concurrent use.
type Plan struct {
	Method *contract.Method
	Route  contract.Route

	input, output protoreflect.MessageType
	unmarshal     protojson.UnmarshalOptions
	encoder       *encoder
	encode        *messageEncoder

	vars         []fieldPath // by the template's variables
	body         protoreflect.FieldDescriptor
	bodyAll      bool
	mask         protoreflect.FieldDescriptor // update_mask beside a PATCH's body
	responseBody protoreflect.FieldDescriptor
}

// Request is what of an HTTP request becomes a message.
type Request struct {
	Vars        []string // values of the template's variables, in its order
	Query       string   // raw
	ContentType string
	Body        []byte
}

// depth bounds how deeply JSON may nest: deeper than any sane contract,
// shallower than what costs.
const depth = 100

// Compile makes the plan of a method's route. The error names what in the
// route does not fit the method's messages.
func Compile(m *contract.Method, r contract.Route, json contract.JSON, types Resolver) (*Plan, error) {
	if types == nil {
		types = protoregistry.GlobalTypes
	}
	p := &Plan{
		Method: m, Route: r,
		input:     messageType(m.Desc.Input()),
		output:    messageType(m.Desc.Output()),
		unmarshal: protojson.UnmarshalOptions{Resolver: types, RecursionLimit: depth},
		encoder:   newEncoder(json, types),
	}
	if err := p.compileRequest(); err != nil {
		return nil, fmt.Errorf("route %s %s of %s: %w", r.Method, r.Pattern, m.FullName, err)
	}
	if err := p.compileResponse(); err != nil {
		return nil, fmt.Errorf("route %s %s of %s: %w", r.Method, r.Pattern, m.FullName, err)
	}
	return p, nil
}

func (p *Plan) compileRequest() error {
	in := p.input.Descriptor()
	for _, v := range p.Route.Template.Variables {
		path, err := resolvePath(in, v.Field)
		if err != nil {
			return err
		}
		if !fromText(path.last()) || path.last().IsList() {
			return fmt.Errorf("the field %s cannot be part of a path", v.Field)
		}
		p.vars = append(p.vars, path)
	}
	switch p.Route.Body {
	case "":
	case "*":
		p.bodyAll = true
	default:
		if p.body = in.Fields().ByName(protoreflect.Name(p.Route.Body)); p.body == nil {
			return fmt.Errorf("%s has no field %s for the body", in.FullName(), p.Route.Body)
		}
		p.mask = updateMask(p.Route, p.body)
	}
	return nil
}

// updateMask finds the mask that a PATCH fills from the fields it sends.
func updateMask(r contract.Route, body protoreflect.FieldDescriptor) protoreflect.FieldDescriptor {
	mask := body.ContainingMessage().Fields().ByName("update_mask")
	if r.Method != "PATCH" || body.Message() == nil || body.IsList() || body.IsMap() ||
		mask == nil || mask.IsList() || mask.Message() == nil || mask.Message().FullName() != "google.protobuf.FieldMask" {
		return nil
	}
	return mask
}

func (p *Plan) compileResponse() error {
	out := p.output.Descriptor()
	p.encode = p.encoder.message(out)
	if p.Route.ResponseBody == "" {
		return nil
	}
	if p.responseBody = out.Fields().ByName(protoreflect.Name(p.Route.ResponseBody)); p.responseBody == nil {
		return fmt.Errorf("%s has no field %s for the response's body", out.FullName(), p.Route.ResponseBody)
	}
	return nil
}

// messageType prefers the type linked into the program: it is faster than a
// dynamic one. Only the very same descriptor is safe; an equal name is not.
func messageType(md protoreflect.MessageDescriptor) protoreflect.MessageType {
	if mt, err := protoregistry.GlobalTypes.FindMessageByName(md.FullName()); err == nil && mt.Descriptor() == md {
		return mt
	}
	return dynamicpb.NewMessageType(md)
}

// NewResponse returns an empty message for the method's answer.
func (p *Plan) NewResponse() proto.Message { return p.output.New().Interface() }

// RawBody tells whether the request's body is taken as it is
// (google.api.HttpBody), whatever its content type.
func (p *Plan) RawBody() bool {
	return p.bodyAll && isHTTPBody(p.input.Descriptor()) || p.body != nil && p.body.Message() != nil && isHTTPBody(p.body.Message())
}

// HasBody tells whether the route takes anything from the request's body.
func (p *Plan) HasBody() bool { return p.bodyAll || p.body != nil }

// Accepts tells whether the route can read a body of the content type.
func (p *Plan) Accepts(contentType string) bool {
	if contentType == "" || !p.HasBody() || p.RawBody() {
		return true
	}
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	if set := params["charset"]; set != "" && !strings.EqualFold(set, "utf-8") {
		return false
	}
	if media == NDJSON {
		return p.Method.ClientStreams
	}
	return media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json")
}

// Decode builds the method's request. The error is a *BadRequest when the
// client is to blame.
func (p *Plan) Decode(r Request) (proto.Message, error) {
	msg := p.input.New()
	if err := p.decodeBody(msg, r); err != nil {
		return nil, err
	}
	bad := &BadRequest{}
	// The path comes after the body: where both name a field, the path wins,
	// because the path is what was authorized, limited and logged.
	for i, path := range p.vars {
		if err := path.set(msg, r.Vars[i]); err != nil {
			bad.add(path.String(), err.Error())
		}
	}
	p.decodeQuery(msg, r.Query, bad)
	return msg.Interface(), bad.errOrNil()
}

// Encode appends the answer's body to dst and returns its content type.
func (p *Plan) Encode(dst []byte, m proto.Message) (body []byte, contentType string, err error) {
	msg := m.ProtoReflect()
	if p.responseBody != nil {
		if md := p.responseBody.Message(); md != nil && isHTTPBody(md) {
			return appendHTTPBody(dst, msg.Get(p.responseBody).Message())
		}
		dst, err = p.encoder.field(p.responseBody).appendAny(dst, msg.Get(p.responseBody))
		return dst, "application/json", err
	}
	if isHTTPBody(msg.Descriptor()) {
		return appendHTTPBody(dst, msg)
	}
	dst, err = p.encode.append(dst, msg)
	return dst, "application/json", err
}
