package transcode

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

func (p *Plan) decodeBody(msg protoreflect.Message, r Request) error {
	if p.RawBody() {
		target := msg
		if p.body != nil {
			target = msg.Mutable(p.body).Message()
		}
		setHTTPBody(target, r.ContentType, r.Body)
		return nil
	}
	body := bytes.TrimSpace(r.Body)
	switch {
	case len(body) == 0:
		return nil
	case p.bodyAll:
		return p.decodeJSON(msg, body, "")
	case p.body == nil:
		return badRequest("", "this request takes no body")
	case p.body.Message() != nil && !p.body.IsList() && !p.body.IsMap():
		err := p.decodeJSON(msg.Mutable(p.body).Message(), body, string(p.body.Name()))
		if err == nil && p.mask != nil {
			err = p.fillMask(msg, r.Query, body)
		}
		return err
	}
	return p.decodeValue(msg, body)
}

// decodeValue reads a body that is one scalar, list or map field. Checking
// that it is one JSON value comes first: it is put between braces.
func (p *Plan) decodeValue(msg protoreflect.Message, body []byte) error {
	if !json.Valid(body) {
		return badRequest("", "the body is not valid JSON")
	}
	wrapped := slices.Concat([]byte(`{"`+p.body.JSONName()+`":`), body, []byte("}"))
	return p.decodeJSON(msg, wrapped, "")
}

func (p *Plan) decodeJSON(msg protoreflect.Message, body []byte, at string) error {
	if err := p.unmarshal.Unmarshal(body, msg.Interface()); err != nil {
		return jsonError(err, body, at)
	}
	return nil
}

// fillMask writes the fields that a PATCH sends into its update mask, unless
// the query has one.
func (p *Plan) fillMask(msg protoreflect.Message, query string, body []byte) error {
	for pair := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if fieldByName(p.input.Descriptor(), name) == p.mask {
			return nil
		}
	}
	mask := msg.Mutable(p.mask).Message()
	paths := mask.Mutable(mask.Descriptor().Fields().ByName("paths")).List()
	for _, path := range sentFields(p.body.Message(), body, "") {
		paths.Append(protoreflect.ValueOfString(path))
	}
	return nil
}

// sentFields lists the paths of what a JSON object sets. Objects inside are
// followed, so that a change of one nested field leaves its neighbours alone;
// lists and maps are replaced as a whole.
func sentFields(md protoreflect.MessageDescriptor, object []byte, prefix string) []string {
	var members map[string]json.RawMessage
	if json.Unmarshal(object, &members) != nil {
		return nil
	}
	var paths []string
	for name, value := range members {
		fd := fieldByJSON(md, name)
		if fd == nil {
			continue
		}
		path := prefix + string(fd.Name())
		if nested := fd.Message(); nested != nil && !fd.IsList() && !fd.IsMap() && !wellKnown(nested) {
			if inner := sentFields(nested, value, path+"."); len(inner) > 0 {
				paths = append(paths, inner...)
				continue
			}
		}
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}

func fieldByJSON(md protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if fd := md.Fields().ByJSONName(name); fd != nil {
		return fd
	}
	return md.Fields().ByTextName(name)
}

func wellKnown(md protoreflect.MessageDescriptor) bool {
	return md.ParentFile().Package() == "google.protobuf"
}
