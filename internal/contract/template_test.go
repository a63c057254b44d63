package contract_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gowarren/warren/internal/contract"
)

func TestParseTemplate(t *testing.T) {
	literal := func(text string) contract.Segment { return contract.Segment{Text: text} }
	one, rest := contract.Segment{Kind: contract.Any}, contract.Segment{Kind: contract.Rest}
	for path, want := range map[string]contract.Template{
		"/": {},
		"/v1/products/{sku}": {
			Segments:  []contract.Segment{literal("v1"), literal("products"), one},
			Variables: []contract.Variable{{Field: "sku", Start: 2, End: 3}},
		},
		"/v1/{name=shelves/*/books/**}:publish": {
			Segments:  []contract.Segment{literal("v1"), literal("shelves"), one, literal("books"), rest},
			Verb:      "publish",
			Variables: []contract.Variable{{Field: "name", Start: 1, End: 5}},
		},
		"/v1/{a.b_2}/*/{c=x}": {
			Segments:  []contract.Segment{literal("v1"), one, one, literal("x")},
			Variables: []contract.Variable{{Field: "a.b_2", Start: 1, End: 2}, {Field: "c", Start: 3, End: 4}},
		},
		"/.well-known/jwks.json": {Segments: []contract.Segment{literal(".well-known"), literal("jwks.json")}},
		"/**":                    {Segments: []contract.Segment{rest}},
	} {
		got, err := contract.ParseTemplate(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", path, diff)
		}
	}
}

func TestParseTemplateRefuses(t *testing.T) {
	for path, want := range map[string]string{
		"":             "does not start with a slash",
		"v1/x":         "does not start with a slash",
		"/v1/":         "a segment is empty",
		"/v1//x":       "a segment is empty",
		"/v1/{sku":     "the variable sku is not closed",
		"/v1/{}":       `"" is not the path of a field`,
		"/v1/{a..b}":   `"a..b" is not the path of a field`,
		"/v1/{1a}":     `"1a" is not the path of a field`,
		"/v1/{a={b}}":  "a variable holds a variable",
		"/v1/{a}/{a}":  "the variable a occurs twice",
		"/v1/**/x":     "nothing may follow **",
		"/v1/{a=**}/x": "nothing may follow **",
		"/v1/x:":       "the verb after the colon is empty",
		"/v1/x:a:b":    `unexpected ":b"`,
		"/v1/x?y":      `unexpected "?y"`,
		"/v1/a*":       `unexpected "*"`,
		"/v1/x}":       `unexpected "}"`,
	} {
		_, err := contract.ParseTemplate(path)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", path, err, want)
		}
	}
}

func TestTemplateShape(t *testing.T) {
	for path, want := range map[string]string{
		"/":                             "/",
		"/v1/{sku}":                     "/v1/*",
		"/v1/{sku=*}:go":                "/v1/*:go",
		"/v1/{name=shelves/*/books/**}": "/v1/shelves/*/books/**",
	} {
		template, err := contract.ParseTemplate(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := template.Shape(); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}

func TestTemplateMatch(t *testing.T) {
	for _, c := range []struct {
		template, path string
		want           []string // nil: no match
	}{
		{"/", "", []string{}},
		{"/", "x", nil},
		{"/v1/{sku}", "v1/A1", []string{"A1"}},
		{"/v1/{sku}", "v1", nil},
		{"/v1/{sku}", "v1/", nil},
		{"/v1/{sku}", "v1/A1/x", nil},
		{"/v1/{sku}", "v2/A1", nil},
		{"/v1/{a=x/*}/{b}", "v1/x/1/2", []string{"x/1", "2"}},
		{"/v1/{rest=**}", "v1", []string{""}},
		{"/v1/{rest=**}", "v1/a/b", []string{"a/b"}},
		{"/v1/{rest=y/**}", "v1/y/a/b", []string{"y/a/b"}},
		{"/v1/{rest=y/**}", "v1", nil},
	} {
		template, err := contract.ParseTemplate(c.template)
		if err != nil {
			t.Error(err)
			continue
		}
		var segments []string
		if c.path != "" {
			segments = strings.Split(c.path, "/")
		}
		got, ok := template.Match(segments)
		if ok != (c.want != nil) || ok && !cmp.Equal(got, c.want) {
			t.Errorf("%s, %s: got %q, %v", c.template, c.path, got, ok)
		}
	}
}

// FuzzParseTemplate checks that what is accepted reads the same when it is
// written again, and that its variables stay within its segments.
func FuzzParseTemplate(f *testing.F) {
	for _, seed := range []string{"/", "/v1/{sku}", "/v1/{name=shelves/*/books/**}:go", "/a/*/b:c", "/{a=**", "//", "/{a=b}/{c.d}", "/{a=}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		template, err := contract.ParseTemplate(path)
		if err != nil {
			return
		}
		again, err := contract.ParseTemplate(template.String())
		if err != nil {
			t.Fatalf("%q is written as %q: %v", path, template, err)
		}
		if diff := cmp.Diff(template, again); diff != "" {
			t.Fatalf("%q is written as %q: -first +second:\n%s", path, template, diff)
		}
		if _, err := contract.ParseTemplate(template.Shape()); err != nil {
			t.Fatalf("%q has the shape %q: %v", path, template.Shape(), err)
		}
		last := 0
		for _, v := range template.Variables {
			if v.Start < last || v.End <= v.Start || v.End > len(template.Segments) {
				t.Fatalf("%q: the variable %+v lies outside of %d segments", path, v, len(template.Segments))
			}
			last = v.End
		}
	})
}
