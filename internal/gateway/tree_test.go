package gateway

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/gowarren/warren/internal/contract"
)

func TestTree(t *testing.T) {
	var root tree
	for _, r := range []string{"GET /v1/books/{isbn}", "GET /v1/books/featured", "DELETE /v1/books/{isbn}", "POST /v1/books/{isbn}:borrow", "GET /v1/books:watch",
		"GET /v1/{shelf=shelves/*}/books/{isbn}", "GET /v1/files/{path=**}", "GET /v1/files/{a}/info", "GET /", "GET /v1/books/featured/today"} {
		method, pattern, _ := strings.Cut(r, " ")
		template, err := contract.ParseTemplate(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if taken := root.add(template, method, &route{method: method, pattern: pattern}); taken != nil {
			t.Fatalf("%s is taken", r)
		}
	}
	for _, c := range []struct{ method, path, want, allowed string }{
		{"GET", "/v1/books/1", "/v1/books/{isbn}", ""},
		{"HEAD", "/v1/books/1", "/v1/books/{isbn}", ""},
		{"GET", "/v1/books/featured", "/v1/books/featured", ""},
		{"DELETE", "/v1/books/featured", "/v1/books/{isbn}", ""}, // the literal has no DELETE, the variable has
		{"GET", "/v1/books/featured/today", "/v1/books/featured/today", ""},
		{"POST", "/v1/books/1:borrow", "/v1/books/{isbn}:borrow", ""},
		{"GET", "/v1/books/urn:isbn:1", "/v1/books/{isbn}", ""}, // a colon, but no verb
		{"GET", "/v1/books:watch", "/v1/books:watch", ""},
		{"GET", "/v1/shelves/x/books/1", "/v1/{shelf=shelves/*}/books/{isbn}", ""},
		{"GET", "/v1/files/a/b/c", "/v1/files/{path=**}", ""},
		{"GET", "/v1/files/a/info", "/v1/files/{a}/info", ""},
		{"GET", "/v1/files", "/v1/files/{path=**}", ""},
		{"GET", "/", "/", ""},
		{"PUT", "/v1/books/1", "", "DELETE GET"},
		{"GET", "/v1/books", "", ""},
		{"GET", "/v1/books/1/x", "", ""},
		{"GET", "/v1/books/", "", ""},
	} {
		r, _, allowed := root.find(c.method, c.path)
		got := ""
		if r != nil {
			got = r.pattern
		}
		slices.Sort(allowed)
		if got != c.want || r == nil && strings.Join(allowed, " ") != c.allowed {
			t.Errorf("%s %s: %q %v, want %q %q", c.method, c.path, got, allowed, c.want, c.allowed)
		}
	}
	template, err := contract.ParseTemplate("/v1/books/{other}")
	if err != nil {
		t.Fatal(err)
	}
	if root.add(template, "GET", &route{}) == nil {
		t.Error("a route was taken twice")
	}
}

func FuzzTree(f *testing.F) {
	var root tree
	for _, pattern := range []string{"/v1/books/{isbn}", "/v1/books/{isbn}:borrow", "/v1/files/{path=**}", "/v1/{shelf=shelves/*}/books/{isbn}"} {
		template, err := contract.ParseTemplate(pattern)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(pattern)
		root.add(template, "GET", &route{pattern: pattern})
	}
	f.Fuzz(func(t *testing.T, path string) {
		r, segments, _ := root.find("GET", path)
		if r == nil {
			return
		}
		template, err := contract.ParseTemplate(r.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := template.Match(segments); !ok {
			t.Fatalf("%q leads to %s, which does not match it", path, r.pattern)
		}
	})
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x03abc"), true)
	f.Add([]byte("\x01\x00\x00\x00\x03abc"), true)
	f.Fuzz(func(t *testing.T, wire []byte, gzip bool) {
		fr := &frames{in: bytes.NewReader(wire), gzip: gzip, limit: 1000}
		for {
			m, err := fr.read()
			if err != nil {
				return
			}
			if len(m.data) > 1000 {
				t.Fatalf("a message of %d bytes came through", len(m.data))
			}
		}
	})
}
