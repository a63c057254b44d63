package transcode

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gowarren/warren/internal/contract"
	libraryv1 "github.com/gowarren/warren/internal/transcode/testpb/library/v1"
)

func everything(t testing.TB) *libraryv1.EchoRequest {
	t.Helper()
	inside, err := anypb.New(&libraryv1.Author{GivenName: "Ada"})
	if err != nil {
		t.Fatal(err)
	}
	document, err := structpb.NewStruct(map[string]any{"b": []any{1.5, nil, "x", true}, "a": map[string]any{}})
	if err != nil {
		t.Fatal(err)
	}
	return &libraryv1.EchoRequest{
		Text: "quote \" slash \\ line \n bell \a ü \u2028 <b>", Flag: true, Data: []byte{0, 255},
		Numbers: &libraryv1.Numbers{I32: -1, U32: 1, I64: -1 << 63, U64: 1<<64 - 1, Single: 1e-7, Real: 1e22},
		Genre:   libraryv1.Genre_GENRE_NOVEL, Genres: []libraryv1.Genre{0, 1, 42}, Longs: []int64{1, 2},
		Maybe: new(""), Choice: &libraryv1.EchoRequest_Right{Right: 0},
		At: timestamppb.New(time.Unix(1, 5000)), Lasting: durationpb.New(-1500 * time.Millisecond),
		Mask:        &fieldmaskpb.FieldMask{Paths: []string{"text", "wrapped_text.x"}},
		WrappedText: wrapperspb.String("w"), WrappedLong: wrapperspb.Int64(0), WrappedFlag: wrapperspb.Bool(false),
		Document: document, Value: structpb.NewNullValue(), List: &structpb.ListValue{}, Any: inside,
		Counts: map[string]int64{"b": 1, "a": 2}, People: map[int32]*libraryv1.Author{10: {}, 9: nil}, Flags: map[bool]string{true: "t", false: "f"},
		Authors: []*libraryv1.Author{{}, {FamilyName: "L"}}, Renamed: "r", Nested: &libraryv1.EchoRequest{Text: "n"},
	}
}

// reference is what protojson writes, without its varying white space.
func reference(o protojson.MarshalOptions, m proto.Message) (string, error) {
	raw, err := o.Marshal(m)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = json.Compact(&out, raw)
	return out.String(), err
}

func variants() map[string]struct {
	ours   contract.JSON
	theirs protojson.MarshalOptions
} {
	return map[string]struct {
		ours   contract.JSON
		theirs protojson.MarshalOptions
	}{
		"default": {},
		"zero":    {contract.JSON{ZeroValues: true}, protojson.MarshalOptions{EmitDefaultValues: true}},
		"enums":   {contract.JSON{EnumNumbers: true}, protojson.MarshalOptions{UseEnumNumbers: true}},
	}
}

func TestEncodeIsProtoJSON(t *testing.T) {
	for name, v := range variants() {
		t.Run(name, func(t *testing.T) {
			for _, m := range []proto.Message{everything(t), &libraryv1.EchoRequest{}, &libraryv1.EchoResponse{Request: everything(t)}} {
				sameAsProtoJSON(t, v.ours, v.theirs, m)
			}
		})
	}
}

func sameAsProtoJSON(t *testing.T, ours contract.JSON, theirs protojson.MarshalOptions, m proto.Message) {
	t.Helper()
	want, wantErr := reference(theirs, m)
	got, err := newEncoder(ours, protoregistry.GlobalTypes).message(m.ProtoReflect().Descriptor()).append(nil, m.ProtoReflect())
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("error %v, protojson's %v\nof %v", err, wantErr, m)
	}
	if err == nil && string(got) != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

func TestInt64AsNumbers(t *testing.T) {
	m := &libraryv1.EchoRequest{Longs: []int64{5}, Counts: map[string]int64{"a": 1}, WrappedLong: wrapperspb.Int64(-7)}
	enc := newEncoder(contract.JSON{Int64Numbers: true}, protoregistry.GlobalTypes)
	got, err := enc.message(m.ProtoReflect().Descriptor()).append(nil, m.ProtoReflect())
	if want := `{"longs":[5],"wrappedLong":-7,"counts":{"a":1}}`; err != nil || string(got) != want {
		t.Fatalf("%s %v", got, err)
	}
}

// FuzzEncode compares with protojson on whatever messages bytes can make.
func FuzzEncode(f *testing.F) {
	raw, err := proto.Marshal(everything(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, wire []byte) {
		m := &libraryv1.EchoRequest{}
		if proto.Unmarshal(wire, m) != nil {
			return
		}
		for _, v := range variants() {
			sameAsProtoJSON(t, v.ours, v.theirs, m)
		}
	})
}

// FuzzDecode must neither panic nor accept what protojson refuses, and errors
// must be the client's.
func FuzzDecode(f *testing.F) {
	all := plans(f, true)
	for _, c := range decodeCases() {
		f.Add(c.req.Query, c.req.Body)
	}
	f.Fuzz(func(t *testing.T, query string, body []byte) {
		for _, route := range []string{"POST /v1/echo", "GET /v1/echo", "POST /v1/echo-numbers", "PATCH /v1/books/{book.isbn}"} {
			p := all[route]
			vars := make([]string, len(p.vars))
			if p.Route.Body == "" {
				body = nil
			}
			msg, err := p.Decode(Request{Vars: vars, Query: query, Body: body})
			if err != nil {
				if _, ok := errors.AsType[*BadRequest](err); !ok {
					t.Fatalf("%T: %v", err, err)
				}
				continue
			}
			if _, err := proto.Marshal(msg); err != nil {
				t.Fatalf("accepted what cannot be sent: %v", err)
			}
		}
	})
}

func TestStreams(t *testing.T) {
	p := plans(t, false)["GET /v1/books:watch"]
	var out strings.Builder
	write := func(s *Stream, problem *Problem) string {
		out.Reset()
		for _, err := range []error{s.Message(&out, &libraryv1.BookChange{Sequence: 1}), s.Heartbeat(&out),
			s.Message(&out, &libraryv1.BookChange{Sequence: 2}), s.Close(&out, problem)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		return out.String()
	}
	if got := write(p.NewStream(SSE), nil); got != "id: 1\nevent: message\ndata: {\"sequence\":\"1\"}\n\n: alive\n\nid: 2\nevent: message\ndata: {\"sequence\":\"2\"}\n\nevent: end\ndata: {}\n\n" {
		t.Errorf("%q", got)
	}
	problem := NewProblem(404, "GONE", "line\nbreak")
	if got := write(p.NewStream(SSE), problem); !strings.HasSuffix(got, "event: error\ndata: "+string(problem.JSON())+"\n\n") {
		t.Errorf("%q", got)
	}
	if got := write(p.NewStream(NDJSON), problem); got != "{\"sequence\":\"1\"}\n\n{\"sequence\":\"2\"}\n{\"@problem\":"+string(problem.JSON())+"}\n" {
		t.Errorf("%q", got)
	}
}

func TestLines(t *testing.T) {
	l := NewLines(strings.NewReader("{}\n\n  {\"a\":1}  \r\n{}"), 100)
	var got []string
	for {
		line, err := l.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(line))
	}
	if strings.Join(got, "|") != `{}|{"a":1}|{}` {
		t.Errorf("%q", got)
	}
	if err := l.Blame(badRequest("f", "is bad")); !strings.Contains(err.Error(), "f: line 4: is bad") {
		t.Error(err)
	}
	if _, err := NewLines(strings.NewReader(strings.Repeat("x", 200)), 100).Next(); !errors.Is(err, ErrLineTooLong) {
		t.Error(err)
	}
}

func TestProblemOf(t *testing.T) {
	s, err := status.New(codes.ResourceExhausted, "slow down").WithDetails(
		&errdetails.ErrorInfo{Reason: "TOO_MANY", Domain: "library", Metadata: map[string]string{"k": "v"}},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(1500 * time.Millisecond)},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "a.b", Description: "is bad"}}})
	if err != nil {
		t.Fatal(err)
	}
	p := ProblemOf(s.Err())
	if p.Status != 429 || p.Reason != "TOO_MANY" || p.Domain != "library" || p.Metadata["k"] != "v" || p.Code != "RESOURCE_EXHAUSTED" ||
		len(p.Violations) != 1 || p.Violations[0].Field != "a.b" || RetryAfter(p.RetryAfter) != "2" {
		t.Errorf("%+v", p)
	}
	if p := ProblemOf(status.Error(codes.Unavailable, "dial tcp 10.0.0.7:1234: refused")); strings.Contains(p.Detail, "10.0.0.7") {
		t.Error("the inside is shown to the outside")
	}
	if p := ProblemOf(status.Error(codes.NotFound, "no book 7")); p.Detail != "no book 7" || p.Status != 404 {
		t.Errorf("%+v", p)
	}
}

func BenchmarkEncode(b *testing.B) {
	book := &libraryv1.Book{Isbn: "978-3", Title: "A title", Author: &libraryv1.Author{GivenName: "Ada"}, Genre: 1,
		Tags: []string{"a", "b"}, PriceMinor: 1999, Published: timestamppb.New(time.Unix(1e9, 0)), Version: 3}
	for name, dynamic := range map[string]bool{"linked": false, "dynamic": true} {
		p := plans(b, dynamic)["GET /v1/books/{isbn}"]
		msg := p.NewResponse()
		raw, err := proto.Marshal(book)
		if err != nil {
			b.Fatal(err)
		}
		if err := proto.Unmarshal(raw, msg); err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var buf []byte
			for b.Loop() {
				if buf, _, err = p.Encode(buf[:0], msg); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/protojson", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := protojson.Marshal(msg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	all := plans(b, true)
	b.Run("path", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := all["GET /v1/books/{isbn}"].Decode(Request{Vars: []string{"978"}}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("body", func(b *testing.B) {
		body := []byte(`{"title":"T","author":{"givenName":"Ada"},"tags":["a","b"],"priceMinor":"1999"}`)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := all["POST /v1/books"].Decode(Request{Body: body}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
