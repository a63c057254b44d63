package openapi

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/gowarren/warren/internal/contract"
	libraryv1 "github.com/gowarren/warren/internal/transcode/testpb/library/v1"
)

// library reads the test's contract with a comment, as a descriptor that has
// kept its source would have it.
func library(t *testing.T) *contract.Service {
	t.Helper()
	file := protodesc.ToFileDescriptorProto(libraryv1.File_library_v1_library_proto)
	text := " GetBook returns one book.\n\n It is fast.\n"
	file.SourceCodeInfo = &descriptorpb.SourceCodeInfo{Location: []*descriptorpb.SourceCodeInfo_Location{{
		Path: []int32{6, 0, 2, 0}, Span: []int32{1, 0, 1}, LeadingComments: &text,
	}}}
	fd, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	s, err := contract.Read(fd.Services().Get(0))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func parsed(t *testing.T) (doc map[string]any, raw string) {
	t.Helper()
	out, err := Document(Info{Title: "Library", Version: "1"}, []*contract.Service{library(t)})
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &doc); err != nil {
		t.Fatal(err)
	}
	return doc, string(out)
}

// at walks into a document.
func at(t *testing.T, v any, path ...string) any {
	t.Helper()
	for _, name := range path {
		m, ok := v.(map[string]any)
		if !ok || m[name] == nil {
			t.Fatalf("there is no %q in %v", name, v)
		}
		v = m[name]
	}
	return v
}

func TestStructure(t *testing.T) {
	doc, raw := parsed(t)
	if at(t, doc, "openapi") != "3.1.0" || at(t, doc, "info", "title") != "Library" {
		t.Errorf("%.200s", raw)
	}
	schemas := at(t, doc, "components", "schemas").(map[string]any)
	for _, part := range strings.Split(raw, `"$ref":"`)[1:] {
		ref, _, _ := strings.Cut(part, `"`)
		name, ok := strings.CutPrefix(ref, "#/components/schemas/")
		if !ok || schemas[name] == nil {
			t.Errorf("%s leads nowhere", ref)
		}
	}
	ids := map[string]bool{}
	shapes := map[string]string{}
	for path, methods := range at(t, doc, "paths").(map[string]any) {
		shape := regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(path, "{}")
		if other, taken := shapes[shape]; taken {
			t.Errorf("%s and %s are one path, and stand there twice", path, other)
		}
		shapes[shape] = path
		for method, op := range methods.(map[string]any) {
			checkOperation(t, path, method, op, ids)
		}
	}
	if strings.Contains(raw, "Audit") {
		t.Error("an internal method is described")
	}
}

func checkOperation(t *testing.T, path, method string, op any, ids map[string]bool) {
	t.Helper()
	id := at(t, op, "operationId").(string)
	if ids[id] {
		t.Errorf("%s occurs twice", id)
	}
	ids[id] = true
	at(t, op, "responses", "200", "description")
	at(t, op, "responses", "default", "content", "application/problem+json", "schema", "$ref")
	inPath := map[string]bool{}
	seen := map[string]bool{}
	params, _ := op.(map[string]any)["parameters"].([]any)
	for _, p := range params {
		name, in := at(t, p, "name").(string), at(t, p, "in").(string)
		if seen[in+name] {
			t.Errorf("%s %s: parameter %s occurs twice", method, path, name)
		}
		seen[in+name] = true
		at(t, p, "schema")
		if in == "path" {
			inPath[name] = true
			if p.(map[string]any)["required"] != true {
				t.Errorf("%s: %s is not required", path, name)
			}
		}
	}
	for _, part := range strings.Split(path, "{")[1:] {
		name, _, _ := strings.Cut(part, "}")
		if !inPath[name] {
			t.Errorf("%s does not describe %s", path, name)
		}
		delete(inPath, name)
	}
	if len(inPath) > 0 {
		t.Errorf("%s describes %v, which it has not", path, inPath)
	}
}

func TestWhatContractsSay(t *testing.T) {
	doc, raw := parsed(t)
	paths := at(t, doc, "paths")
	get := at(t, paths, "/v1/books/{isbn}", "get")
	if at(t, get, "summary") != "GetBook returns one book." || at(t, get, "description") != "It is fast." {
		t.Errorf("%v", get)
	}
	if security := at(t, get, "security").([]any); len(security) != 0 {
		t.Error("a public method asks for a token")
	}
	remove := at(t, paths, "/v1/books/{isbn}", "delete")
	if len(at(t, remove, "security").([]any)) != 1 {
		t.Error("a method for roles asks for no token")
	}
	at(t, remove, "responses", "403")
	at(t, paths, "/v1/books/{isbn}:borrow", "post", "responses", "429")
	at(t, paths, "/v1/books:import", "post", "requestBody", "content", "application/x-ndjson")
	at(t, paths, "/v1/books:watch", "get", "responses", "200", "content", "text/event-stream")
	book := at(t, doc, "components", "schemas", "library.v1.Book", "properties")
	if at(t, book, "title", "maxLength") != 200.0 || at(t, book, "title", "minLength") != 1.0 {
		t.Errorf("%v", at(t, book, "title"))
	}
	if at(t, book, "priceMinor", "type") != "string" || at(t, book, "published", "format") != "date-time" {
		t.Errorf("%v", book)
	}
	for _, want := range []string{`"name":"author.given_name","in":"query"`, `"name":"Idempotency-Key","in":"header"`, `"GENRE_POETRY"`} {
		if !strings.Contains(raw, want) {
			t.Errorf("%s is missing", want)
		}
	}
	pin := at(t, doc, "components", "schemas", "library.v1.SignInRequest", "properties", "pin")
	if at(t, pin, "format") != "password" {
		t.Error("a secret is shown as it is typed")
	}
	if strings.Contains(raw, "writeOnly") {
		t.Error("clients would drop the secrets that an answer is for")
	}
}
