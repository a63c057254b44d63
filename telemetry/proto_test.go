package telemetry_test

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"

	warrenv1 "github.com/gowarren/warren/api/warren/v1"
	"github.com/gowarren/warren/telemetry"
)

// login is message Login { string user = 1; secret string password = 2;
// secret bytes key = 3; secret repeated string codes = 4; Login inner = 5;
// repeated Login more = 6; map<string, Login> by_name = 7; secret Login hidden
// = 8; google.protobuf.Any any = 9; secret int32 pin = 10; }. With unknown, the
// options are raw bytes, as in a descriptor from a process that reads contracts
// without Warren's options linked.
func login(t *testing.T, unknown bool) protoreflect.MessageDescriptor {
	t.Helper()
	field := func(name string, number int32, kind descriptorpb.FieldDescriptorProto_Type, of string, repeated, secret bool) *descriptorpb.FieldDescriptorProto {
		f := &descriptorpb.FieldDescriptorProto{
			Name: new(name), Number: new(number), Type: kind.Enum(),
			Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
		if of != "" {
			f.TypeName = new(of)
		}
		if repeated {
			f.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		}
		if secret {
			f.Options = &descriptorpb.FieldOptions{}
			proto.SetExtension(f.GetOptions(), warrenv1.E_Secret, true)
		}
		return f
	}
	const (
		text    = descriptorpb.FieldDescriptorProto_TYPE_STRING
		message = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
	)
	entry := &descriptorpb.DescriptorProto{
		Name: new("ByNameEntry"), Options: &descriptorpb.MessageOptions{MapEntry: new(true)},
		Field: []*descriptorpb.FieldDescriptorProto{
			field("key", 1, text, "", false, false), field("value", 2, message, ".test.Login", false, false),
		},
	}
	file := &descriptorpb.FileDescriptorProto{
		Name: new("login.proto"), Package: new("test"), Syntax: new("proto3"),
		Dependency: []string{"google/protobuf/any.proto"},
		MessageType: []*descriptorpb.DescriptorProto{{
			Name: new("Login"), NestedType: []*descriptorpb.DescriptorProto{entry},
			Field: []*descriptorpb.FieldDescriptorProto{
				field("user", 1, text, "", false, false),
				field("password", 2, text, "", false, true),
				field("key", 3, descriptorpb.FieldDescriptorProto_TYPE_BYTES, "", false, true),
				field("codes", 4, text, "", true, true),
				field("inner", 5, message, ".test.Login", false, false),
				field("more", 6, message, ".test.Login", true, false),
				field("by_name", 7, message, ".test.Login.ByNameEntry", true, false),
				field("hidden", 8, message, ".test.Login", false, true),
				field("any", 9, message, ".google.protobuf.Any", false, false),
				field("pin", 10, descriptorpb.FieldDescriptorProto_TYPE_INT32, "", false, true),
			},
		}},
	}
	if unknown {
		raw, err := proto.Marshal(file)
		if err != nil {
			t.Fatal(err)
		}
		file = &descriptorpb.FileDescriptorProto{}
		if err := (proto.UnmarshalOptions{Resolver: new(protoregistry.Types)}).Unmarshal(raw, file); err != nil {
			t.Fatal(err)
		}
	}
	d, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return d.Messages().Get(0)
}

func TestSecretFieldsAreNotLogged(t *testing.T) {
	for name, unknown := range map[string]bool{"known option": false, "raw option": true} {
		t.Run(name, func(t *testing.T) {
			m := dynamicpb.NewMessage(login(t, unknown))
			set := func(m *dynamicpb.Message, name protoreflect.Name, v any) {
				m.Set(m.Descriptor().Fields().ByName(name), protoreflect.ValueOf(v))
			}
			fresh := func() *dynamicpb.Message {
				inner := dynamicpb.NewMessage(m.Descriptor())
				set(inner, "user", "ada")
				set(inner, "password", "hunter2")
				set(inner, "key", []byte("hunter2"))
				set(inner, "pin", int32(4711))
				inner.Mutable(m.Descriptor().Fields().ByName("codes")).List().Append(protoreflect.ValueOf("hunter2"))
				return inner
			}
			fields := m.Descriptor().Fields()
			set(m, "inner", fresh())
			set(m, "hidden", fresh())
			m.Mutable(fields.ByName("more")).List().Append(protoreflect.ValueOf(fresh()))
			m.Mutable(fields.ByName("by_name")).Map().Set(protoreflect.ValueOf("a").MapKey(), protoreflect.ValueOf(fresh()))
			packed, err := anypb.New(fresh()) // of a type that is not linked
			if err != nil {
				t.Fatal(err)
			}
			set(m, "any", packed.ProtoReflect())
			before := proto.Clone(m)

			tel, out := open(t, telemetry.Options{})
			tel.Logger().Info("x", "request", telemetry.Proto(m), "raw", m)
			text := out.String()
			for _, secret := range []string{"hunter2", "aHVudGVyMg", "4711"} {
				if strings.Contains(text, secret) {
					t.Errorf("%s is told: %s", secret, text)
				}
			}
			line := lines(t, out)[0]
			inner := map[string]any{"user": "ada", "password": "[redacted]", "key": "W3JlZGFjdGVkXQ=="}
			for _, attr := range []string{"request", "raw"} {
				got, _ := line[attr].(map[string]any)
				if text, want := asJSON(t, got["inner"]), asJSON(t, inner); text != want {
					t.Errorf("%s.inner is %s, want %s", attr, text, want)
				}
			}
			if !proto.Equal(before, m) {
				t.Error("logging changed the message")
			}
		})
	}
}

func TestProtoOfNothingAndOfMuch(t *testing.T) {
	tel, out := open(t, telemetry.Options{})
	var none *anypb.Any
	tel.Logger().Info("x", "none", telemetry.Proto(none), "nil", telemetry.Proto(nil),
		"much", telemetry.Proto(&descriptorpb.FileDescriptorProto{Name: new(strings.Repeat("x", 1<<20))}))
	line := lines(t, out)[0]
	much, _ := line["much"].(string)
	if line["none"] != nil || line["nil"] != nil || len(much) > 9<<10 || !strings.HasPrefix(much, `{"name":`) {
		t.Errorf("none is %v, nil is %v, much has %d bytes", line["none"], line["nil"], len(much))
	}
}

func TestProtoCostsNothingWhenNotLogged(t *testing.T) {
	tel, _ := open(t, telemetry.Options{LogLevel: slog.LevelError})
	m := &descriptorpb.FileDescriptorProto{Name: new("x")}
	logger, ctx := tel.Logger(), t.Context()
	if n := testing.AllocsPerRun(100, func() { logger.LogAttrs(ctx, slog.LevelInfo, "x", slog.Any("m", telemetry.Proto(m))) }); n > 1 {
		t.Errorf("%v allocations for a line that isn't written", n)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
