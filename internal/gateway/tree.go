package gateway

import (
	"slices"
	"strings"

	"github.com/gowarren/warren/internal/contract"
)

// tree finds routes by path. Literals go before single segments, those before
// the rest of a path; where the better branch leads nowhere the next is tried.
// It is built once and then only read.
type tree struct {
	literal map[string]*tree
	any     *tree
	rest    *leaf
	leaf    *leaf
}

// leaf holds the routes of one shape, by verb and HTTP method.
type leaf struct {
	verbs map[string]map[string]*route
}

func (t *tree) add(tpl contract.Template, method string, r *route) (taken *route) {
	node := t
	var l **leaf
	for _, s := range tpl.Segments {
		switch s.Kind {
		case contract.Literal:
			if node.literal == nil {
				node.literal = map[string]*tree{}
			}
			if node.literal[s.Text] == nil {
				node.literal[s.Text] = &tree{}
			}
			node = node.literal[s.Text]
		case contract.Any:
			if node.any == nil {
				node.any = &tree{}
			}
			node = node.any
		case contract.Rest:
			l = &node.rest
		}
	}
	if l == nil {
		l = &node.leaf
	}
	if *l == nil {
		*l = &leaf{verbs: map[string]map[string]*route{}}
	}
	methods := (*l).verbs[tpl.Verb]
	if methods == nil {
		methods = map[string]*route{}
		(*l).verbs[tpl.Verb] = methods
	}
	if old := methods[method]; old != nil {
		return old
	}
	methods[method] = r
	return nil
}

// find returns the route of a path and the path's segments without the verb,
// or the methods that the path has instead.
func (t *tree) find(method, path string) (r *route, segments []string, allowed []string) {
	segments = strings.Split(strings.TrimPrefix(path, "/"), "/")
	if len(segments) == 1 && segments[0] == "" {
		segments = nil
	}
	search := treeSearch{method: method}
	// What looks like a verb is tried as one first; it may be part of a value.
	if n := len(segments); n > 0 {
		if head, verb, ok := cutLast(segments[n-1]); ok {
			cut := slices.Clone(segments)
			cut[n-1] = head
			search.verb = verb
			if r := search.walk(t, cut); r != nil {
				return r, cut, nil
			}
			search.verb = ""
		}
	}
	return search.walk(t, segments), segments, search.allowed
}

func cutLast(segment string) (head, verb string, ok bool) {
	i := strings.LastIndexByte(segment, ':')
	if i <= 0 {
		return "", "", false
	}
	return segment[:i], segment[i+1:], true
}

type treeSearch struct {
	method, verb string
	allowed      []string
}

func (s *treeSearch) walk(t *tree, path []string) *route {
	if len(path) == 0 {
		if r := s.pick(t.leaf); r != nil {
			return r
		}
		return s.pick(t.rest)
	}
	if next := t.literal[path[0]]; next != nil {
		if r := s.walk(next, path[1:]); r != nil {
			return r
		}
	}
	if t.any != nil && path[0] != "" {
		if r := s.walk(t.any, path[1:]); r != nil {
			return r
		}
	}
	return s.pick(t.rest)
}

func (s *treeSearch) pick(l *leaf) *route {
	if l == nil {
		return nil
	}
	methods := l.verbs[s.verb]
	if r := methods[s.method]; r != nil {
		return r
	}
	if s.method == "HEAD" && methods["GET"] != nil {
		return methods["GET"]
	}
	for m := range methods {
		if !slices.Contains(s.allowed, m) {
			s.allowed = append(s.allowed, m)
		}
	}
	return nil
}
