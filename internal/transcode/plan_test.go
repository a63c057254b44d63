package transcode

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/gowarren/warren/internal/contract"
	libraryv1 "github.com/gowarren/warren/internal/transcode/testpb/library/v1"
)

// descriptors returns the service as linked, or as a stranger's: compiled
// again, so that dynamic messages are used.
func descriptors(t testing.TB, dynamic bool) protoreflect.ServiceDescriptor {
	t.Helper()
	linked := libraryv1.File_library_v1_library_proto
	if !dynamic {
		return linked.Services().Get(0)
	}
	fd, err := protodesc.NewFile(protodesc.ToFileDescriptorProto(linked), protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return fd.Services().Get(0)
}

// plans compiles every route of the test's contract, by "METHOD pattern".
func plans(t testing.TB, dynamic bool) map[string]*Plan {
	t.Helper()
	sd := descriptors(t, dynamic)
	s, err := contract.Read(sd)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*Plan{}
	for _, m := range s.Methods {
		for _, r := range m.Routes {
			p, err := Compile(m, r, s.JSON, nil)
			if err != nil {
				t.Fatal(err)
			}
			out[r.Method+" "+r.Pattern] = p
		}
	}
	return out
}

type decodeCase struct {
	name  string
	route string
	req   Request
	want  string // the request as JSON
	bad   string // or: a part of the error
}

func decodeCases() []decodeCase {
	return []decodeCase{
		{name: "path variable", route: "GET /v1/books/{isbn}", req: Request{Vars: []string{"978"}}, want: `{"isbn":"978"}`},
		{name: "query", route: "GET /v1/books", req: Request{Query: "page_size=5&pageToken=a%20b&tags=x&tags=y&genre=GENRE_POETRY&author.given_name=Ada&author.familyName=L"},
			want: `{"pageSize":5,"pageToken":"a b","tags":["x","y"],"genre":"GENRE_POETRY","author":{"givenName":"Ada","familyName":"L"}}`},
		{name: "enum by number", route: "GET /v1/books", req: Request{Query: "genre=2"}, want: `{"genre":"GENRE_POETRY"}`},
		{name: "timestamp", route: "GET /v1/books", req: Request{Query: "published_after=2020-01-02T03:04:05Z"}, want: `{"publishedAfter":"2020-01-02T03:04:05Z"}`},
		{name: "every scalar", route: "GET /v1/echo", req: Request{Query: "flag=true&data=-_8&numbers.i32=-1&numbers.u64=18446744073709551615&numbers.real=1.5e3&numbers.single=Infinity&longs=1&longs=-2&genres=1&genres=GENRE_POETRY&maybe="},
			want: `{"flag":true,"data":"+/8=","numbers":{"i32":-1,"u64":"18446744073709551615","real":1500,"single":"Infinity"},"longs":["1","-2"],"genres":["GENRE_NOVEL","GENRE_POETRY"],"maybe":""}`},
		{name: "well-known types", route: "GET /v1/echo", req: Request{Query: "lasting=1.5s&mask=text,numbers.i32,wrapped_text&wrappedText=a%22b&wrapped_long=-3&wrapped_flag=true&wrapped_data=AQI%3D&wrapped_real=2.5&times=2020-01-02T03:04:05Z&times=1970-01-01T00:00:00.5Z"},
			want: `{"lasting":"1.5s","mask":"text,numbers.i32,wrappedText","wrappedText":"a\"b","wrappedLong":"-3","wrappedFlag":true,"wrappedData":"AQI=","wrappedReal":2.5,"times":["2020-01-02T03:04:05Z","1970-01-01T00:00:00.500Z"]}`},
		{name: "json_name", route: "GET /v1/echo", req: Request{Query: "otherName=a"}, want: `{"otherName":"a"}`},
		{name: "name of a renamed field", route: "GET /v1/echo", req: Request{Query: "renamed=a"}, want: `{"otherName":"a"}`},
		{name: "nested", route: "GET /v1/echo", req: Request{Query: "nested.nested.text=deep"}, want: `{"nested":{"nested":{"text":"deep"}}}`},

		{name: "unknown parameter", route: "GET /v1/books", req: Request{Query: "pagesize=5"}, bad: "pagesize: unknown query parameter"},
		{name: "wrong type", route: "GET /v1/books", req: Request{Query: "page_size=five"}, bad: `page_size: "five" is not a valid int32`},
		{name: "overflow", route: "GET /v1/echo", req: Request{Query: "numbers.i32=2147483648"}, bad: "numbers.i32: "},
		{name: "unknown enum", route: "GET /v1/books", req: Request{Query: "genre=9"}, bad: "genre: "},
		{name: "twice", route: "GET /v1/books", req: Request{Query: "page_size=1&pageSize=2"}, bad: "pageSize: is given more than once"},
		{name: "path again", route: "GET /v1/books/{isbn}", req: Request{Vars: []string{"1"}, Query: "isbn=2"}, bad: "isbn: is given by the path"},
		{name: "message", route: "GET /v1/books", req: Request{Query: "author=x"}, bad: "author: cannot be given in the query"},
		{name: "map", route: "GET /v1/echo", req: Request{Query: "counts=x"}, bad: "counts: cannot be given in the query"},
		{name: "into a map", route: "GET /v1/echo", req: Request{Query: "counts.key=x"}, bad: "counts.key: unknown"},
		{name: "oneof twice", route: "GET /v1/echo", req: Request{Query: "left=a&right=1"}, bad: "right: cannot be given together with left"},
		{name: "bad time", route: "GET /v1/books", req: Request{Query: "published_after=yesterday"}, bad: "published_after: "},
		{name: "semicolon", route: "GET /v1/books", req: Request{Query: "page_size=1;page_token=2"}, bad: "semicolon"},
		{name: "percent", route: "GET /v1/books", req: Request{Query: "page_token=%zz"}, bad: "page_token: "},
		{name: "UTF-8", route: "GET /v1/books", req: Request{Query: "page_token=%ff"}, bad: "page_token: is not valid UTF-8"},
		{name: "beside a whole body", route: "POST /v1/echo", req: Request{Query: "text=a", Body: []byte("{}")}, bad: "text: belongs into the body"},
		{name: "float spelling", route: "GET /v1/echo", req: Request{Query: "numbers.real=0x10"}, bad: "numbers.real: "},
		{name: "far too deep", route: "GET /v1/echo", req: Request{Query: strings.Repeat("nested.", 200) + "text=a"}, bad: "unknown"},

		{name: "whole body", route: "POST /v1/books/{isbn}:borrow", req: Request{Vars: []string{"1"}, Body: []byte(`{"days": 7}`)}, want: `{"isbn":"1","days":7}`},
		{name: "path wins", route: "POST /v1/books/{isbn}:borrow", req: Request{Vars: []string{"1"}, Body: []byte(`{"isbn":"2","days": 7}`)}, want: `{"isbn":"1","days":7}`},
		{name: "no body", route: "POST /v1/books/{isbn}:borrow", req: Request{Vars: []string{"1"}}, want: `{"isbn":"1"}`},
		{name: "field body", route: "POST /v1/books", req: Request{Body: []byte(`{"title":"T","price_minor":"5","priceMinor":null}`)}, bad: "duplicate field"},
		{name: "proto names", route: "POST /v1/books", req: Request{Body: []byte(`{"title":"T","price_minor":5}`)}, want: `{"book":{"title":"T","priceMinor":"5"}}`},
		{name: "mask from a patch", route: "PATCH /v1/books/{book.isbn}", req: Request{Vars: []string{"1"}, Body: []byte(`{"title":"T","author":{"givenName":"Ada"},"tags":[],"labels":{"a":"b"},"published":null}`)},
			want: `{"book":{"isbn":"1","title":"T","author":{"givenName":"Ada"},"labels":{"a":"b"}},"updateMask":"author.givenName,labels,published,tags,title"}`},
		{name: "mask given", route: "PATCH /v1/books/{book.isbn}", req: Request{Vars: []string{"1"}, Query: "update_mask=title", Body: []byte(`{"title":"T"}`)},
			want: `{"book":{"isbn":"1","title":"T"},"updateMask":"title"}`},
		{name: "raw body", route: "PUT /v1/books/{isbn}/cover", req: Request{Vars: []string{"1"}, ContentType: "image/png", Body: []byte("\x89PNG")},
			want: `{"isbn":"1","picture":{"contentType":"image/png","data":"iVBORw=="}}`},

		{name: "unknown field", route: "POST /v1/books", req: Request{Body: []byte(`{"title":"T","autor":{}}`)}, bad: `book.autor: unknown field "autor"`},
		{name: "nested wrong type", route: "POST /v1/echo", req: Request{Body: []byte("{\n \"nested\": {\"authors\": [{}, {\"givenName\": 5}]}}")}, bad: `nested.authors[1].givenName: invalid value for string field givenName: 5`},
		{name: "case of a field", route: "POST /v1/books", req: Request{Body: []byte(`{"Title":"T"}`)}, bad: "book.Title: unknown field"},
		{name: "duplicate field", route: "POST /v1/books", req: Request{Body: []byte(`{"title":"T","title":"U"}`)}, bad: "book.title: duplicate field"},
		{name: "trailing garbage", route: "POST /v1/books", req: Request{Body: []byte(`{"title":"T"} x`)}, bad: "the body is not valid JSON"},
		{name: "two documents", route: "POST /v1/books", req: Request{Body: []byte(`{"title":"T"}{"title":"U"}`)}, bad: "the body is not valid JSON"},
		{name: "broken", route: "POST /v1/books", req: Request{Body: []byte(`{"title":`)}, bad: "the body is not valid JSON"},
		{name: "no object", route: "POST /v1/books", req: Request{Body: []byte(` [1]`)}, bad: "the body must be an object, such as {}, and is a list"},
		{name: "a text", route: "POST /v1/books", req: Request{Body: []byte(`"T"`)}, bad: "and is a text"},
		{name: "a list where an object belongs", route: "POST /v1/echo", req: Request{Body: []byte(`{"numbers":[1]}`)}, bad: "numbers: has the wrong shape"},
		{name: "too deep", route: "POST /v1/echo", req: Request{Body: []byte(strings.Repeat(`{"nested":`, 10_000))}, bad: "depth"},
		{name: "oneof twice in JSON", route: "POST /v1/echo", req: Request{Body: []byte(`{"left":"a","right":1}`)}, bad: "right: "},
		{name: "bad UTF-8", route: "POST /v1/books", req: Request{Body: []byte("{\"title\":\"\xff\"}")}, bad: "UTF-8"},
		{name: "NaN", route: "POST /v1/echo", req: Request{Body: []byte(`{"numbers":{"real":NaN}}`)}, bad: "the body is not valid JSON"},
		{name: "1e400", route: "POST /v1/echo", req: Request{Body: []byte(`{"numbers":{"real":1e400}}`)}, bad: "numbers.real: "},
		{name: "int64 overflow", route: "POST /v1/echo", req: Request{Body: []byte(`{"longs":["9223372036854775808"]}`)}, bad: "longs[0]: "},
		{name: "bad time in JSON", route: "POST /v1/echo", req: Request{Body: []byte(`{"at":"soon"}`)}, bad: "at: "},
		{name: "map value", route: "POST /v1/echo", req: Request{Body: []byte(`{"people":{"5":{"givenName":[]}}}`)}, bad: "people.5.givenName: "},
		{name: "body not taken", route: "GET /v1/books", req: Request{Body: []byte(`{}`)}, bad: "takes no body"},
	}
}

func TestDecode(t *testing.T) {
	for _, dynamic := range []bool{false, true} {
		all := plans(t, dynamic)
		for _, c := range decodeCases() {
			t.Run(c.name, func(t *testing.T) { checkDecode(t, all[c.route], c) })
		}
	}
}

func checkDecode(t *testing.T, p *Plan, c decodeCase) {
	t.Helper()
	if p == nil {
		t.Fatalf("no route %s", c.route)
	}
	got, err := p.Decode(c.req)
	if c.bad != "" {
		var bad *BadRequest
		if !errors.As(err, &bad) || !strings.Contains(bad.Error(), c.bad) {
			t.Fatalf("want an error with %q, got %v", c.bad, err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	want := p.input.New().Interface()
	if err := protojson.Unmarshal([]byte(c.want), want); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(got, want) {
		t.Fatalf("got  %v\nwant %v", got, want)
	}
}

func TestCompileRefusesRoutesThatDoNotFit(t *testing.T) {
	s, err := contract.Read(descriptors(t, false))
	if err != nil {
		t.Fatal(err)
	}
	m := s.Method("GetBook")
	for pattern, want := range map[string]string{
		"/v1/{nothing}":   "has no field",
		"/v1/{isbn.more}": "has no fields",
	} {
		template, err := contract.ParseTemplate(pattern)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Compile(m, contract.Route{Method: "GET", Pattern: pattern, Template: template}, s.JSON, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", pattern, err, want)
		}
	}
	for _, r := range []contract.Route{{Method: "POST", Pattern: "/x", Body: "nothing"}, {Method: "GET", Pattern: "/x", ResponseBody: "nothing"}} {
		if _, err := Compile(m, r, s.JSON, nil); err == nil {
			t.Errorf("%+v was accepted", r)
		}
	}
}

func TestAccepts(t *testing.T) {
	all := plans(t, false)
	for contentType, want := range map[string]bool{
		"": true, "application/json": true, "application/json; charset=UTF-8": true, "application/merge-patch+json": true,
		"text/plain": false, "application/x-www-form-urlencoded": false, "application/json; charset=latin1": false, NDJSON: false, "a b": false,
	} {
		if got := all["POST /v1/books"].Accepts(contentType); got != want {
			t.Errorf("%q: %v", contentType, got)
		}
	}
	if !all["POST /v1/books:import"].Accepts(NDJSON) || !all["PUT /v1/books/{isbn}/cover"].Accepts("image/png") {
		t.Error("lines and raw bodies must be taken where the method takes them")
	}
}

func TestEncodeParts(t *testing.T) {
	all := plans(t, true)
	list := all["GET /v1/bare-books"]
	msg := list.NewResponse()
	if err := protojson.Unmarshal([]byte(`{"books":[{"isbn":"1"}]}`), msg); err != nil {
		t.Fatal(err)
	}
	body, contentType, err := list.Encode(nil, msg)
	if err != nil || string(body) != `[{"isbn":"1"}]` || contentType != "application/json" {
		t.Errorf("response_body: %s %s %v", body, contentType, err)
	}
	cover := all["GET /v1/books/{isbn}/cover"]
	msg = cover.NewResponse()
	if err := protojson.Unmarshal([]byte(`{"contentType":"image/png","data":"iVBORw=="}`), msg); err != nil {
		t.Fatal(err)
	}
	body, contentType, err = cover.Encode(nil, msg)
	if err != nil || string(body) != "\x89PNG" || contentType != "image/png" {
		t.Errorf("HttpBody: %q %s %v", body, contentType, err)
	}
}
