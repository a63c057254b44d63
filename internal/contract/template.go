package contract

import (
	"errors"
	"fmt"
	"strings"
)

// SegmentKind says what a segment of a template matches.
type SegmentKind int

// The kinds of segments.
const (
	Literal SegmentKind = iota // exactly its text
	Any                        // one segment, written "*"
	Rest                       // all segments left, written "**"; always last
)

// Segment is one part of a path between slashes.
type Segment struct {
	Kind SegmentKind
	Text string // of a Literal
}

// Variable binds segments of a path to a field of the request.
type Variable struct {
	Field string // its path: "sku", "product.sku"
	// The segments bound: Segments[Start:End]. A Rest among them binds all
	// that the path has left.
	Start, End int
}

// Template is a parsed path of google.api.http, with its variables lifted
// out of the segments: a matcher needs to look at the segments only.
type Template struct {
	Segments  []Segment
	Verb      string // after the colon, without it
	Variables []Variable
}

// ParseTemplate parses the path template of a google.api.http rule, such as
// "/v1/{name=shelves/*/books/**}:publish".
func ParseTemplate(path string) (Template, error) {
	p := templateParser{rest: path}
	if err := p.template(); err != nil {
		return Template{}, fmt.Errorf("parse path template %q: %w", path, err)
	}
	return p.out, nil
}

// String writes the template in its shortest form.
func (t Template) String() string {
	if len(t.Segments) == 0 {
		return "/"
	}
	var b strings.Builder
	for i := 0; i < len(t.Segments); {
		b.WriteByte('/')
		v, ok := t.variableAt(i)
		if !ok {
			b.WriteString(t.Segments[i].String())
			i++
			continue
		}
		b.WriteString("{" + v.Field)
		if pattern := join(t.Segments[v.Start:v.End]); pattern != "*" {
			b.WriteString("=" + pattern)
		}
		b.WriteByte('}')
		i = v.End
	}
	return b.String() + t.suffix()
}

// Shape writes the template without its variables: two templates of one
// shape match the same paths.
func (t Template) Shape() string { return "/" + join(t.Segments) + t.suffix() }

// Match binds the template's variables to the segments of a path whose verb
// was cut off. The values are in the order of Variables.
func (t Template) Match(path []string) ([]string, bool) {
	for i, s := range t.Segments {
		if s.Kind == Rest {
			break
		}
		if i >= len(path) || s.Kind == Literal && s.Text != path[i] || path[i] == "" {
			return nil, false
		}
	}
	if !t.rest() && len(path) != len(t.Segments) || t.rest() && len(path) < len(t.Segments)-1 {
		return nil, false
	}
	values := make([]string, len(t.Variables))
	for i, v := range t.Variables {
		end := v.End
		if t.Segments[end-1].Kind == Rest {
			end = len(path)
		}
		values[i] = strings.Join(path[v.Start:end], "/")
	}
	return values, true
}

func (t Template) rest() bool {
	return len(t.Segments) > 0 && t.Segments[len(t.Segments)-1].Kind == Rest
}

func (t Template) variableAt(segment int) (Variable, bool) {
	for _, v := range t.Variables {
		if v.Start == segment {
			return v, true
		}
	}
	return Variable{}, false
}

func (t Template) suffix() string {
	if t.Verb == "" {
		return ""
	}
	return ":" + t.Verb
}

// String returns the segment as a template writes it.
func (s Segment) String() string {
	switch s.Kind {
	case Any:
		return "*"
	case Rest:
		return "**"
	}
	return s.Text
}

func join(segments []Segment) string {
	texts := make([]string, len(segments))
	for i, s := range segments {
		texts[i] = s.String()
	}
	return strings.Join(texts, "/")
}

// templateParser follows the grammar in google/api/http.proto:
//
//	Template = "/" Segments [ Verb ] ;
//	Segments = Segment { "/" Segment } ;
//	Segment  = "*" | "**" | LITERAL | Variable ;
//	Variable = "{" FieldPath [ "=" Segments ] "}" ;
//	Verb     = ":" LITERAL ;
type templateParser struct {
	rest string
	out  Template
}

func (p *templateParser) template() error {
	if !p.take("/") {
		return errors.New("it does not start with a slash")
	}
	if p.rest == "" {
		return nil // the root
	}
	if err := p.segments(true); err != nil {
		return err
	}
	if p.take(":") {
		if p.out.Verb = p.literal(); p.out.Verb == "" {
			return errors.New("the verb after the colon is empty")
		}
	}
	if p.rest != "" {
		return fmt.Errorf("unexpected %q", p.rest)
	}
	return nil
}

func (p *templateParser) segments(variables bool) error {
	for {
		if p.out.rest() {
			return errors.New("nothing may follow **")
		}
		if err := p.segment(variables); err != nil {
			return err
		}
		if !p.take("/") {
			return nil
		}
	}
}

func (p *templateParser) segment(variables bool) error {
	switch {
	case p.take("**"):
		p.out.Segments = append(p.out.Segments, Segment{Kind: Rest})
	case p.take("*"):
		p.out.Segments = append(p.out.Segments, Segment{Kind: Any})
	case strings.HasPrefix(p.rest, "{"):
		if !variables {
			return errors.New("a variable holds a variable")
		}
		return p.variable()
	default:
		text := p.literal()
		if text == "" {
			return errors.New("a segment is empty")
		}
		p.out.Segments = append(p.out.Segments, Segment{Text: text})
	}
	return nil
}

func (p *templateParser) variable() error {
	p.take("{")
	field := p.until("=}")
	if !validFieldPath(field) {
		return fmt.Errorf("%q is not the path of a field", field)
	}
	for _, v := range p.out.Variables {
		if v.Field == field {
			return fmt.Errorf("the variable %s occurs twice", field)
		}
	}
	start := len(p.out.Segments)
	if p.take("=") {
		if err := p.segments(false); err != nil {
			return err
		}
	} else {
		p.out.Segments = append(p.out.Segments, Segment{Kind: Any})
	}
	if !p.take("}") {
		return fmt.Errorf("the variable %s is not closed", field)
	}
	p.out.Variables = append(p.out.Variables, Variable{Field: field, Start: start, End: len(p.out.Segments)})
	return nil
}

func (p *templateParser) take(prefix string) bool {
	rest, ok := strings.CutPrefix(p.rest, prefix)
	p.rest = rest
	return ok
}

func (p *templateParser) until(stops string) string {
	end := strings.IndexAny(p.rest, stops)
	if end < 0 {
		end = len(p.rest)
	}
	text := p.rest[:end]
	p.rest = p.rest[end:]
	return text
}

func (p *templateParser) literal() string {
	end := strings.IndexFunc(p.rest, func(r rune) bool { return !literalRune(r) })
	if end < 0 {
		end = len(p.rest)
	}
	text := p.rest[:end]
	p.rest = p.rest[end:]
	return text
}

// literalRune allows what RFC 3986 leaves unreserved, and what is common in
// paths besides, but for the colon, which starts the verb.
func literalRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.~@$!&'(),;+", r)
}

func validFieldPath(path string) bool {
	for name := range strings.SplitSeq(path, ".") {
		if !validIdentifier(name) {
			return false
		}
	}
	return true
}

func validIdentifier(name string) bool {
	for i, r := range name {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}
