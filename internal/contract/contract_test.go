package contract_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	authv1 "github.com/gowarren/warren/api/warren/auth/v1"
	rpcv1 "github.com/gowarren/warren/api/warren/rpc/v1"
	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/internal/protogen"
)

var update = flag.Bool("update", false, "write the expected problems anew")

// compile compiles contracts given by name and text.
func compile(t *testing.T, sources map[string]string) []protoreflect.FileDescriptor {
	t.Helper()
	files, err := protogen.CompileSources(t.Context(), sources)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func source(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// golden compares text with what a file holds.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(source(t, path), got); diff != "" {
		t.Errorf("%s: -want +got:\n%s", path, diff)
	}
}

const shelf = `
syntax = "proto3";
package test.v1;
import "google/api/annotations.proto";
import "warren/v1/options.proto";
message Book {
  string name = 1;
  string key = 2 [(warren.v1.secret) = true];
}
message BookSold {
  option (warren.v1.event) = {key: "name"};
  string name = 1;
}
enum Reason {
  option (warren.v1.reasons) = {domain: "shelf.test"};
  REASON_UNSPECIFIED = 0;
  LOST = 1 [(warren.v1.code) = "DATA_LOSS"];
}
service Shelf {
  option (warren.v1.service) = {json: {zero_values: true}};
  rpc Get(Book) returns (Book) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (warren.v1.method) = {access: ACCESS_PUBLIC, timeout: "250ms", cache: {max_age: "5s", shared: true}, priority: PRIORITY_LOW};
  }
  rpc Put(Book) returns (Book) {
    option idempotency_level = IDEMPOTENT;
    option (google.api.http) = {
      put: "/v1/{name=shelves/*/books/**}:put" body: "*" response_body: "name"
      additional_bindings: {custom: {kind: "mkcol", path: "/v1/books"}, body: "*"}
    };
    option (warren.v1.method) = {
      access: ACCESS_ROLES, roles: ["staff", "admin"], idempotency_key: IDEMPOTENCY_KEY_REQUIRED
      rate_limits: {requests: 5}
      rate_limits: {by: BY_FIELD, field: "name", requests: 10, per: "1m", burst: 2}
      compensate: "Drop", confirm: "Plain", cancel: "Drop", priority: PRIORITY_HIGH
    };
  }
  rpc Drop(Book) returns (Book) {
    option (warren.v1.method) = {access: ACCESS_AUTHENTICATED, idempotency_key: IDEMPOTENCY_KEY_ACCEPTED};
  }
  rpc Plain(Book) returns (Book);
  rpc Talk(stream Book) returns (stream Book);
}`

func shelfMethods(t *testing.T) []*contract.Method {
	t.Helper()
	put, err := contract.ParseTemplate("/v1/{name=shelves/*/books/**}:put")
	if err != nil {
		t.Fatal(err)
	}
	books, err := contract.ParseTemplate("/v1/books")
	if err != nil {
		t.Fatal(err)
	}
	return []*contract.Method{
		{
			FullName: "/test.v1.Shelf/Get", Service: "test.v1.Shelf", Name: "Get", Access: contract.AccessPublic,
			Timeout: 250 * time.Millisecond, Cache: &contract.Cache{MaxAge: 5 * time.Second, Shared: true},
			Priority: contract.PriorityLow, Safe: true, Idempotent: true,
		},
		{
			FullName: "/test.v1.Shelf/Put", Service: "test.v1.Shelf", Name: "Put",
			Access: contract.AccessRoles, Roles: []string{"staff", "admin"}, IdempotencyKey: contract.KeyRequired,
			RateLimits: []contract.RateLimit{
				{Requests: 5, Per: time.Second, Burst: 5},
				{By: contract.ByField, Field: "name", Requests: 10, Per: time.Minute, Burst: 2},
			},
			Compensate: "Drop", Confirm: "Plain", Cancel: "Drop", Priority: contract.PriorityHigh, Idempotent: true,
			Routes: []contract.Route{
				{Method: "PUT", Pattern: "/v1/{name=shelves/*/books/**}:put", Body: "*", ResponseBody: "name", Template: put},
				{Method: "MKCOL", Pattern: "/v1/books", Body: "*", Template: books},
			},
		},
		{
			FullName: "/test.v1.Shelf/Drop", Service: "test.v1.Shelf", Name: "Drop",
			Access: contract.AccessAuthenticated, IdempotencyKey: contract.KeyAccepted,
		},
		{FullName: "/test.v1.Shelf/Plain", Service: "test.v1.Shelf", Name: "Plain"},
		{FullName: "/test.v1.Shelf/Talk", Service: "test.v1.Shelf", Name: "Talk", ClientStreams: true, ServerStreams: true},
	}
}

// fromReflection builds descriptors as a client of gRPC reflection does that
// knows none of the options: they stay unknown fields.
func fromReflection(t *testing.T, fd protoreflect.FileDescriptor) protoreflect.FileDescriptor {
	t.Helper()
	raw, err := proto.Marshal(protodesc.ToFileDescriptorProto(fd))
	if err != nil {
		t.Fatal(err)
	}
	file := &descriptorpb.FileDescriptorProto{}
	if err := (proto.UnmarshalOptions{Resolver: &protoregistry.Types{}}).Unmarshal(raw, file); err != nil {
		t.Fatal(err)
	}
	out, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRead(t *testing.T) {
	compiled := compile(t, map[string]string{"shelf.proto": shelf})[0]
	for name, fd := range map[string]protoreflect.FileDescriptor{
		"compiled":   compiled,
		"reflection": fromReflection(t, compiled),
	} {
		t.Run(name, func(t *testing.T) {
			s, err := contract.Read(fd.Services().Get(0))
			if err != nil {
				t.Fatal(err)
			}
			if s.Name != "test.v1.Shelf" || s.JSON != (contract.JSON{ZeroValues: true}) {
				t.Errorf("service: got %q, %+v", s.Name, s.JSON)
			}
			ignore := cmpopts.IgnoreFields(contract.Method{}, "Desc")
			if diff := cmp.Diff(shelfMethods(t), s.Methods, ignore); diff != "" {
				t.Errorf("methods: -want +got:\n%s", diff)
			}
			if m := s.Method("Get"); !m.Unary() || !m.External() || m.Desc == nil {
				t.Errorf("Get: unary %v, external %v, descriptor %v", m.Unary(), m.External(), m.Desc)
			}
			if m := s.Method("Plain"); m.External() {
				t.Error("a method without options can be reached from outside")
			}
			if s.Method("Nothing") != nil {
				t.Error("found a method that does not exist")
			}
		})
	}
}

func TestReadLinked(t *testing.T) {
	fd := authv1.File_warren_auth_v1_keys_proto
	if problems := contract.Check(fd); len(problems) > 0 {
		t.Error(problems)
	}
	s, err := contract.Read(fd.Services().Get(0))
	if err != nil {
		t.Fatal(err)
	}
	m := s.Method("GetKeys")
	if m.Access != contract.AccessPublic || !m.Safe || m.Cache == nil || len(m.Routes) != 1 || m.Routes[0].Pattern != "/.well-known/jwks.json" {
		t.Errorf("got %+v", m)
	}
}

func TestElements(t *testing.T) {
	compiled := compile(t, map[string]string{"shelf.proto": shelf})[0]
	for name, fd := range map[string]protoreflect.FileDescriptor{
		"compiled":   compiled,
		"reflection": fromReflection(t, compiled),
	} {
		t.Run(name, func(t *testing.T) {
			book := fd.Messages().ByName("Book").Fields()
			if contract.Secret(book.ByName("name")) || !contract.Secret(book.ByName("key")) {
				t.Error("key, and only key, is secret")
			}
			if key, event := contract.EventKey(fd.Messages().ByName("BookSold")); key != "name" || !event {
				t.Errorf("BookSold: got key %q, event %v", key, event)
			}
			if key, event := contract.EventKey(fd.Messages().ByName("Book")); key != "" || event {
				t.Errorf("Book: got key %q, event %v", key, event)
			}
			reasons := fd.Enums().ByName("Reason").Values()
			if code, domain, ok := contract.Reason(reasons.ByName("LOST")); code != codes.DataLoss || domain != "shelf.test" || !ok {
				t.Errorf("LOST: got %v, %q, %v", code, domain, ok)
			}
			if _, _, ok := contract.Reason(reasons.ByName("REASON_UNSPECIFIED")); ok {
				t.Error("REASON_UNSPECIFIED is a reason")
			}
		})
	}
}

// overloaded is a reason of a contract that is part of this program.
func overloaded() protoreflect.EnumValueDescriptor {
	return rpcv1.Reason_REASON_OVERLOADED.Descriptor().Values().ByNumber(rpcv1.Reason_REASON_OVERLOADED.Number())
}

func TestElementsLinked(t *testing.T) {
	if code, domain, ok := contract.Reason(overloaded()); code != codes.Unavailable || domain != "warren" || !ok {
		t.Errorf("OVERLOADED: got %v, %q, %v", code, domain, ok)
	}
	plain := (&authv1.GetKeysResponse{}).ProtoReflect().Descriptor()
	if contract.Secret(plain.Fields().Get(0)) {
		t.Error("public keys are secret")
	}
	if _, event := contract.EventKey(plain); event {
		t.Error("an answer is an event")
	}
}

// Every error that is made or received reads its reason.
func BenchmarkReason(b *testing.B) {
	value := overloaded()
	b.ReportAllocs()
	for b.Loop() {
		contract.Reason(value)
	}
}

// Every log line of a message and every field of a query asks.
func BenchmarkSecret(b *testing.B) {
	field := (&authv1.GetKeysResponse{}).ProtoReflect().Descriptor().Fields().Get(0)
	b.ReportAllocs()
	for b.Loop() {
		contract.Secret(field)
	}
}

func TestContradictions(t *testing.T) {
	paths, err := filepath.Glob("testdata/bad/*.proto")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no contracts in testdata: %v", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			fd := compile(t, map[string]string{filepath.Base(path): source(t, path)})[0]
			problems := contract.Check(fd)
			golden(t, strings.TrimSuffix(path, ".proto")+".txt", problems.Error()+"\n")
			for i := range fd.Services().Len() {
				_, err := contract.Read(fd.Services().Get(i))
				var refused contract.Problems
				if !errors.As(err, &refused) || len(refused) != len(problems) {
					t.Errorf("read: got %v", err)
				}
			}
		})
	}
}

func TestRoutesOfTwoFiles(t *testing.T) {
	file := func(pkg, variable string) string {
		return `syntax = "proto3"; package ` + pkg + `; import "google/api/annotations.proto"; import "warren/v1/options.proto";
		message R { string a = 1; string b = 2; }
		service S { rpc M(R) returns (R) {
			option (google.api.http) = {get: "/v1/things/{` + variable + `}"}; option (warren.v1.method) = {access: ACCESS_PUBLIC}; } }`
	}
	problems := contract.Check(compile(t, map[string]string{"one.proto": file("one", "a"), "two.proto": file("two", "b")})...)
	const want = "two.proto:3: /two.S/M: GET /v1/things/{b} is already the route of /one.S/M; give one of the two another path"
	if got := problems.Error(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestHealthMayBeCritical(t *testing.T) {
	files := compile(t, map[string]string{"health.proto": `syntax = "proto3"; package grpc.health.v1; import "warren/v1/options.proto";
		message R {} service Health { rpc Check(R) returns (R) { option (warren.v1.method) = {priority: PRIORITY_CRITICAL}; } }`})
	if problems := contract.Check(files...); len(problems) > 0 {
		t.Error(problems)
	}
}

func TestProblemsErr(t *testing.T) {
	if err := (contract.Problems{}).Err(); err != nil {
		t.Errorf("no problems: got %v", err)
	}
	p := contract.Problem{File: "a.proto", Element: "/a.S/M", Message: "it is wrong", Remedy: "make it right"}
	if got, want := (contract.Problems{p, {File: "b.proto", Line: 3, Message: "bad"}}).Err().Error(), "a.proto: /a.S/M: it is wrong; make it right\nb.proto:3: bad"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{contract.AccessInternal.String(), "internal"},
		{contract.AccessRoles.String(), "roles"},
		{contract.KeyRequired.String(), "required"},
		{contract.PriorityLow.String(), "low"},
		{contract.PriorityCritical.String(), "critical"},
		{contract.ByField.String(), "field"},
		{contract.Access(9).String(), "unknown"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
