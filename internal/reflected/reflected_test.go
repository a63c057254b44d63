package reflected_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	optionsv1 "github.com/gowarren/warren/api/warren/v1"
	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/internal/protogen"
	"github.com/gowarren/warren/internal/reflected"
)

// sources are contracts that nobody linked into this program.
var sources = map[string]string{
	"far/v1/far.proto": `syntax = "proto3";
package far.v1;
import "far/v1/units.proto";
import "google/api/annotations.proto";
import "warren/v1/options.proto";
service FarService {
  // Look looks.
  rpc Look(LookRequest) returns (LookResponse) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (google.api.http) = {get: "/v1/far/{name}"};
    option (warren.v1.method) = {access: ACCESS_PUBLIC, timeout: "3s"};
  }
}
message LookRequest { string name = 1; }
message LookResponse { Length length = 1; }
`,
	"far/v1/units.proto": `syntax = "proto3";
package far.v1;
import "far/v1/scale.proto";
message Length { int64 value = 1; Scale scale = 2; }
`,
	"far/v1/scale.proto": `syntax = "proto3";
package far.v1;
enum Scale { SCALE_UNSPECIFIED = 0; SCALE_METRE = 1; }
`,
}

const name = "far.v1.FarService"

func compiled(t *testing.T) *protoregistry.Files {
	t.Helper()
	fds, err := protogen.CompileSources(t.Context(), sources)
	if err != nil {
		t.Fatal(err)
	}
	files := &protoregistry.Files{}
	for _, fd := range fds {
		if err := files.RegisterFile(fd); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// serve runs a server until the test ends, and returns its address.
func serve(t *testing.T, register func(*grpc.Server)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	register(s)
	done := make(chan error)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// dynamic serves a contract as a program does that has it in no generated code.
func dynamic(files *protoregistry.Files) func(*grpc.Server) {
	return func(s *grpc.Server) {
		s.RegisterService(&grpc.ServiceDesc{ServiceName: name, HandlerType: (*any)(nil), Metadata: "far/v1/far.proto"}, nil)
		reflectionv1.RegisterServerReflectionServer(s, reflection.NewServerV1(reflection.ServerOptions{Services: s, DescriptorResolver: files}))
	}
}

func TestAServiceInAnyLanguage(t *testing.T) {
	files := compiled(t)
	servers := map[string]func(*grpc.Server){
		"all files in one answer": dynamic(files),
		"one file in an answer":   func(s *grpc.Server) { reflectionv1.RegisterServerReflectionServer(s, &frugal{files: files}) },
		"only the old protocol": func(s *grpc.Server) {
			s.RegisterService(&grpc.ServiceDesc{ServiceName: name, HandlerType: (*any)(nil), Metadata: "far/v1/far.proto"}, nil)
			reflectionv1alpha.RegisterServerReflectionServer(s, reflection.NewServer(reflection.ServerOptions{Services: s, DescriptorResolver: files}))
		},
	}
	for how, register := range servers {
		t.Run(how, func(t *testing.T) {
			set, err := (&reflected.Reader{}).Files(t.Context(), serve(t, register), name)
			if err != nil {
				t.Fatal(err)
			}
			linked, err := reflected.Link(set)
			if err != nil {
				t.Fatal(err)
			}
			d, err := linked.FindDescriptorByName(name)
			if err != nil {
				t.Fatal(err)
			}
			read, err := contract.Read(d.(protoreflect.ServiceDescriptor))
			if err != nil {
				t.Fatal(err)
			}
			m := read.Method("Look")
			if m == nil || m.Access != contract.AccessPublic || m.Timeout != 3*time.Second || !m.Safe || len(m.Routes) != 1 {
				t.Errorf("method: %+v", m)
			}
			scale := m.Desc.Output().Fields().ByName("length").Message().Fields().ByName("scale").Enum()
			if scale.Values().Len() != 2 {
				t.Errorf("an import of an import: %v", scale)
			}
		})
	}
}

func TestEqualContractsAreEqualBytes(t *testing.T) {
	files := compiled(t)
	one := serve(t, dynamic(files))
	other := serve(t, func(s *grpc.Server) { reflectionv1.RegisterServerReflectionServer(s, &frugal{files: files}) })
	var texts [][]byte
	for _, address := range []string{one, other} {
		set, err := (&reflected.Reader{}).Files(t.Context(), address, name)
		if err != nil {
			t.Fatal(err)
		}
		text, err := proto.MarshalOptions{Deterministic: true}.Marshal(set)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	if string(texts[0]) != string(texts[1]) {
		t.Error("the same contract from two servers differs")
	}
}

func TestWhoAsksIsTold(t *testing.T) {
	asked := make(chan []string, 1)
	f := &frugal{files: compiled(t), asked: func(ctx context.Context) {
		md, _ := metadata.FromIncomingContext(ctx)
		asked <- md.Get("who")
	}}
	r := &reflected.Reader{Token: func() (string, string) { return "who", "the gateway" }}
	if _, err := r.Files(t.Context(), serve(t, func(s *grpc.Server) { reflectionv1.RegisterServerReflectionServer(s, f) }), name); err != nil {
		t.Fatal(err)
	}
	if got := <-asked; len(got) != 1 || got[0] != "the gateway" {
		t.Errorf("got %q", got)
	}
}

// frugal answers each question with the one file asked for, as most languages'
// servers do, or with what a test lets it answer.
type frugal struct {
	reflectionv1.UnimplementedServerReflectionServer
	files  *protoregistry.Files
	asked  func(context.Context)
	answer func(file string) ([]byte, error)
}

func (f *frugal) ServerReflectionInfo(stream reflectionv1.ServerReflection_ServerReflectionInfoServer) error {
	if f.asked != nil {
		f.asked(stream.Context())
	}
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		raw, err := f.find(req)
		resp := &reflectionv1.ServerReflectionResponse{MessageResponse: &reflectionv1.ServerReflectionResponse_FileDescriptorResponse{
			FileDescriptorResponse: &reflectionv1.FileDescriptorResponse{FileDescriptorProto: [][]byte{raw}},
		}}
		if err != nil {
			resp.MessageResponse = &reflectionv1.ServerReflectionResponse_ErrorResponse{
				ErrorResponse: &reflectionv1.ErrorResponse{ErrorCode: int32(codes.NotFound), ErrorMessage: err.Error()},
			}
		}
		if err := stream.Send(resp); err != nil {
			return err
		}
	}
}

func (f *frugal) find(req *reflectionv1.ServerReflectionRequest) ([]byte, error) {
	file := req.GetFileByFilename()
	if symbol := req.GetFileContainingSymbol(); symbol != "" && f.answer == nil {
		d, err := f.files.FindDescriptorByName(protoreflect.FullName(symbol))
		if err != nil {
			return nil, err
		}
		file = d.ParentFile().Path()
	}
	if f.answer != nil {
		return f.answer(file)
	}
	fd, err := f.files.FindFileByPath(file)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(protodesc.ToFileDescriptorProto(fd))
}

func TestServersThatAnswerWrongly(t *testing.T) {
	file := func(name string, imports ...string) ([]byte, error) {
		return proto.Marshal(&descriptorpb.FileDescriptorProto{Name: new(name), Dependency: imports, Syntax: new("proto3")})
	}
	tests := map[string]struct {
		register func(*grpc.Server)
		want     string
	}{
		"no reflection": {func(*grpc.Server) {}, "unknown service grpc.reflection"},
		"no such contract": {func(s *grpc.Server) {
			reflectionv1.RegisterServerReflectionServer(s, &frugal{files: &protoregistry.Files{}})
		}, "not found"},
		"nonsense":            {answering(func(string) ([]byte, error) { return []byte("nonsense"), nil }), "proto:"},
		"an import is hidden": {answering(func(name string) ([]byte, error) { return only(name == "", file)("a.proto", "b.proto") }), "the file b.proto is imported and not there"},
		"an answer to another question": {
			answering(func(string) ([]byte, error) { return file("a.proto", "b.proto") }), "the file b.proto is imported and not there",
		},
		"imports without end": { // each has one more x
			answering(func(name string) ([]byte, error) {
				return file("x"+strings.TrimPrefix(name, "x"), "xx"+strings.TrimPrefix(name, "x"))
			}), "the contract imports too many files",
		},
	}
	for what, tt := range tests {
		t.Run(what, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			address := serve(t, tt.register)
			_, err := (&reflected.Reader{}).Files(ctx, address, name)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "ask "+address+" for "+name) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func answering(f func(file string) ([]byte, error)) func(*grpc.Server) {
	return func(s *grpc.Server) { reflectionv1.RegisterServerReflectionServer(s, &frugal{answer: f}) }
}

// only is f, or a file that is not there.
func only(there bool, f func(string, ...string) ([]byte, error)) func(string, ...string) ([]byte, error) {
	if there {
		return f
	}
	return func(string, ...string) ([]byte, error) { return nil, errors.New("not here") }
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := (&reflected.Reader{}).Files(t.Context(), address, name); err == nil || !strings.Contains(err.Error(), address) {
		t.Errorf("got %v", err)
	}
}

func TestLinkTakesWhatIsLinkedAndTheSame(t *testing.T) {
	own := optionsv1.File_warren_v1_options_proto
	set := &descriptorpb.FileDescriptorSet{}
	add := func(fd protoreflect.FileDescriptor) { set.File = append(set.File, protodesc.ToFileDescriptorProto(fd)) }
	for i := range own.Imports().Len() {
		add(own.Imports().Get(i).FileDescriptor)
	}
	add(own)
	files, err := reflected.Link(set)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := files.FindFileByPath(own.Path()); err != nil || got != own {
		t.Errorf("the same file was built anew: %v", err)
	}
	changed := set.GetFile()[len(set.GetFile())-1]
	changed.MessageType = append(changed.MessageType, &descriptorpb.DescriptorProto{Name: new("Later")})
	if files, err = reflected.Link(set); err != nil {
		t.Fatal(err)
	}
	if got, err := files.FindFileByPath(own.Path()); err != nil || got == own || got.Messages().ByName("Later") == nil {
		t.Errorf("a later version was taken for the linked one: %v", err)
	}
}

func TestLinkRefuses(t *testing.T) {
	file := func(name string, imports ...string) *descriptorpb.FileDescriptorProto {
		return &descriptorpb.FileDescriptorProto{Name: new(name), Dependency: imports, Syntax: new("proto3")}
	}
	tests := map[string]struct {
		files []*descriptorpb.FileDescriptorProto
		want  string
	}{
		"a circle":         {[]*descriptorpb.FileDescriptorProto{file("a.proto", "b.proto"), file("b.proto", "a.proto")}, "a.proto is missing or imports itself"},
		"a missing import": {[]*descriptorpb.FileDescriptorProto{file("a.proto", "b.proto")}, "b.proto is missing"},
		"an unknown type": {[]*descriptorpb.FileDescriptorProto{{
			Name: new("a.proto"), Syntax: new("proto3"),
			MessageType: []*descriptorpb.DescriptorProto{{Name: new("M"), Field: []*descriptorpb.FieldDescriptorProto{{
				Name: new("f"), Number: proto.Int32(1), TypeName: new(".no.Such"),
				Type: descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
			}}}},
		}}, "link contracts"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := reflected.Link(&descriptorpb.FileDescriptorSet{File: tt.files}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
