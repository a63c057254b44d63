package system

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// reader walks the file's syntax tree rather than decoding it into structs:
// so each value is checked where its place in the file is still known, and one
// mistake doesn't hide the next.
type reader struct {
	file     string
	problems Problems
}

// value is a node and the field it stands in.
type value struct {
	node  ast.Node
	field string
	at    *token.Position // where the value stands; its key, where it has none
}

// is says what a field's value means.
type is func(value)

func (r *reader) reportf(v value, remedy, format string, args ...any) {
	p := Problem{File: r.file, Field: v.field, Message: fmt.Sprintf(format, args...), Remedy: remedy}
	if v.at != nil {
		p.Line, p.Column = v.at.Line, v.at.Column
	}
	r.problems = append(r.problems, p)
}

// position is the place of a value as errors name it.
func (r *reader) position(v value) string {
	return fmt.Sprintf("%s:%d:%d", r.file, v.at.Line, v.at.Column)
}

// root parses the text into its one document.
func (r *reader) root(text []byte) (value, bool) {
	top := value{at: &token.Position{Line: 1, Column: 1}}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		if syntax, ok := errors.AsType[yaml.Error](err); ok {
			if t := syntax.GetToken(); t != nil {
				top.at = t.Position
			}
			err = errors.New(syntax.GetMessage())
		}
		r.reportf(top, "", "not YAML: %s", err)
		return top, false
	}
	documents := slices.DeleteFunc(file.Docs, func(d *ast.DocumentNode) bool { return d.Body == nil || d.Body.Type() == ast.CommentType })
	switch len(documents) {
	case 0:
		r.reportf(top, "begin with system: and a name", "the file is empty")
		return top, false
	case 1:
		return r.at("", documents[0].Body, top.at), true
	}
	top.at = start(documents[1].Body, top.at)
	r.reportf(top, "remove the --- lines", "the file has %d documents", len(documents))
	return top, false
}

// at wraps a node, past an anchor.
func (r *reader) at(field string, node ast.Node, fallback *token.Position) value {
	if anchor, ok := node.(*ast.AnchorNode); ok {
		node = anchor.Value
	}
	return value{node: node, field: field, at: start(node, fallback)}
}

// start is where a node begins: a mapping's own token is the colon of its
// first pair, which nobody would look for.
func start(node ast.Node, fallback *token.Position) *token.Position {
	switch n := node.(type) {
	case nil, *ast.NullNode:
		return fallback
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return n.Values[0].Key.GetToken().Position
		}
	case *ast.MappingValueNode:
		return n.Key.GetToken().Position
	}
	return node.GetToken().Position
}

// each calls f for every pair of a mapping. Nothing at all is an empty one.
func (r *reader) each(v value, f func(key string, at, v value)) {
	var pairs []*ast.MappingValueNode
	switch n := v.node.(type) {
	case nil, *ast.NullNode:
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		if !r.refused(v) {
			r.reportf(v, "write name: value pairs", "is %s, not a mapping", describe(v.node))
		}
	}
	for _, pair := range pairs {
		keyToken := pair.Key.GetToken()
		key := value{node: pair.Key, field: v.field, at: keyToken.Position}
		if pair.Key.IsMergeKey() {
			r.reportf(key, "write the values out", "merge keys are not understood")
			continue
		}
		name := keyToken.Value
		key.field = join(v.field, name)
		f(name, key, r.at(key.field, pair.Value, keyToken.Position))
	}
}

// object reads a mapping whose keys are known.
func (r *reader) object(v value, fields map[string]is) {
	r.each(v, func(key string, at, v value) {
		if read, ok := fields[key]; ok {
			read(v)
			return
		}
		r.reportf(at, DidYouMean(key, slices.Sorted(maps.Keys(fields))), "unknown field")
	})
}

// text reads a scalar as it is written.
func (r *reader) text(v value) (string, bool) {
	switch n := v.node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	case nil, *ast.NullNode:
		r.reportf(v, "write one or remove the line", "has no value")
		return "", false
	}
	if !r.refused(v) {
		r.reportf(v, "", "is %s, not a single value", describe(v.node))
	}
	return "", false
}

// into reads text that check accepts into where; the remedy is check's error.
func (r *reader) into(where *string, check func(string) error) is {
	return func(v value) {
		text, ok := r.text(v)
		if !ok {
			return
		}
		if err := check(text); err != nil {
			r.reportf(v, err.Error(), "is %q", text)
			return
		}
		*where = text
	}
}

// engine is into for addresses, which are not repeated: they may hold a password.
func (r *reader) engine(where *string, check func(string) error) is {
	return func(v value) {
		text, ok := r.text(v)
		if !ok {
			return
		}
		if err := check(text); err != nil {
			r.reportf(v, err.Error(), "is not an engine's address")
			return
		}
		*where = text
	}
}

// count reads a whole number that isn't negative.
func (r *reader) count(where *int) is {
	return func(v value) {
		text, ok := r.text(v)
		if !ok {
			return
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > maxReplicas {
			r.reportf(v, fmt.Sprintf("it is a whole number from 0 to %d", maxReplicas), "is %q", text)
			return
		}
		*where = n
	}
}

// list reads a sequence of texts.
func (r *reader) list(where *[]string) is {
	return func(v value) {
		n, ok := v.node.(*ast.SequenceNode)
		if !ok {
			r.reportf(v, "write [a, b]", "is %s, not a list", describe(v.node))
			return
		}
		*where = nil
		for i, node := range n.Values {
			if text, ok := r.text(r.at(fmt.Sprintf("%s[%d]", v.field, i), node, v.at)); ok {
				*where = append(*where, text)
			}
		}
	}
}

// refused reports what YAML allows and this file doesn't.
func (r *reader) refused(v value) bool {
	switch v.node.(type) {
	case *ast.AliasNode:
		r.reportf(v, "write the value out", "aliases are not understood")
	case *ast.TagNode:
		r.reportf(v, "remove it", "tags are not understood")
	default:
		return false
	}
	return true
}

func describe(node ast.Node) string {
	switch node.(type) {
	case nil, *ast.NullNode:
		return "nothing"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	}
	return strconv.Quote(node.GetToken().Value)
}

func join(field, name string) string {
	// A name with dots or slashes is quoted, so that the path can be read.
	if strings.ContainsAny(name, "./ ") {
		name = strconv.Quote(name)
	}
	if field == "" {
		return name
	}
	return field + "." + name
}
