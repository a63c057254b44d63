package transcode

import (
	"net/url"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// decodeQuery sets what the query names. Every parameter must be a field that
// neither the path nor the body holds.
func (p *Plan) decodeQuery(msg protoreflect.Message, query string, bad *BadRequest) {
	if query == "" {
		return
	}
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		// Some servers take a semicolon for an ampersand: nobody may read the
		// request differently than this gateway does.
		if strings.Contains(pair, ";") {
			bad.add("", "the query has a semicolon that is not percent-encoded")
			return
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil {
			bad.add("", "the query is not percent-encoded correctly")
			return
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil {
			bad.add(name, "is not percent-encoded correctly")
			continue
		}
		p.setParameter(msg, name, value, seen, bad)
	}
}

func (p *Plan) setParameter(msg protoreflect.Message, name, value string, seen map[string]bool, bad *BadRequest) {
	path, problem := p.parameter(name)
	if problem != "" {
		bad.add(name, problem)
		return
	}
	full := path.String()
	if seen[full] && !path.last().IsList() {
		bad.add(name, "is given more than once")
		return
	}
	seen[full] = true
	if other := oneofTaken(msg, path); other != "" {
		bad.add(name, "cannot be given together with "+other)
		return
	}
	if err := path.set(msg, value); err != nil {
		bad.add(name, err.Error())
	}
}

// parameter finds the field that a query parameter sets, or says why there is
// none.
func (p *Plan) parameter(name string) (path fieldPath, problem string) {
	path, err := resolvePath(p.input.Descriptor(), name)
	switch {
	case err != nil:
		return nil, "unknown query parameter"
	case !fromText(path.last()):
		return nil, "cannot be given in the query"
	case p.bodyAll, p.body != nil && path[0] == p.body:
		return nil, "belongs into the body, not into the query"
	case slices.ContainsFunc(p.vars, func(v fieldPath) bool { return slices.Equal(v, path) }):
		return nil, "is given by the path"
	}
	return path, ""
}

// oneofTaken names the field that holds the place of the path's field in a
// oneof already.
func oneofTaken(m protoreflect.Message, path fieldPath) string {
	for _, fd := range path {
		if od := fd.ContainingOneof(); od != nil && !od.IsSynthetic() {
			if other := m.WhichOneof(od); other != nil && other != fd {
				return string(other.Name())
			}
		}
		if fd.Message() == nil || fd.IsList() || !m.Has(fd) {
			return ""
		}
		m = m.Get(fd).Message()
	}
	return ""
}
