package contract

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Problem is one thing that is wrong with a contract.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`    // from 1; zero where the descriptor has lost its source
	Element string `json:"element,omitempty"` // "/shop.catalog.v1.CatalogService/GetProduct", or another element's full name
	Message string `json:"message"`           // what is wrong
	Remedy  string `json:"remedy,omitempty"`  // what to do about it
}

// String returns the problem in one line, as a compiler would write it.
func (p Problem) String() string {
	at := p.File
	if p.Line > 0 {
		at = fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	text := at + ": "
	if p.Element != "" {
		text += p.Element + ": "
	}
	text += p.Message
	if p.Remedy != "" {
		text += "; " + p.Remedy
	}
	return text
}

// Problems is what is wrong with contracts. Empty, it is no error: return
// its Err.
type Problems []Problem

// Error returns one line per problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// Err returns the problems as an error, nil when there are none.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// Sort orders the problems by file, line and element.
func (p Problems) Sort() {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Element, b.Element))
	})
}

// At returns a problem with an element of a contract.
func At(d protoreflect.Descriptor, message, remedy string) Problem {
	file := d.ParentFile()
	p := Problem{File: file.Path(), Element: elementName(d), Message: message, Remedy: remedy}
	for at := d; at != nil && p.Line == 0; at = at.Parent() { // a map's entry has no line of its own
		if loc := file.SourceLocations().ByDescriptor(at); loc.Path != nil {
			p.Line = loc.StartLine + 1
		}
	}
	return p
}

func elementName(d protoreflect.Descriptor) string {
	if m, ok := d.(protoreflect.MethodDescriptor); ok {
		return fullName(m)
	}
	if f, ok := d.(protoreflect.FileDescriptor); ok {
		return f.Path()
	}
	return string(d.FullName())
}

func fullName(m protoreflect.MethodDescriptor) string {
	return "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
}
