package sample

import (
	"regexp"
	"strings"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	// Warren's own contracts, which have rules of most kinds.
	_ "github.com/gowarren/warren/api/warren/auth/v1"
	_ "github.com/gowarren/warren/api/warren/contracts/v1"
	_ "github.com/gowarren/warren/api/warren/events/v1"
	_ "github.com/gowarren/warren/api/warren/fleet/v1"
	_ "github.com/gowarren/warren/api/warren/observe/v1"
	_ "github.com/gowarren/warren/api/warren/peer/v1"
	_ "github.com/gowarren/warren/api/warren/settings/v1"
	_ "github.com/gowarren/warren/api/warren/shards/v1"
	_ "github.com/gowarren/warren/api/warren/txn/v1"
	libraryv1 "github.com/gowarren/warren/internal/transcode/testpb/library/v1"
)

// Whatever is made up for the contracts that are linked here can be sent as it is.
func TestSamplesKeepTheRules(t *testing.T) {
	seen := 0
	protoregistry.GlobalFiles.RangeFiles(func(fd protoreflect.FileDescriptor) bool {
		for i := range fd.Services().Len() {
			for j := range fd.Services().Get(i).Methods().Len() {
				seen++
				try(t, fd.Services().Get(i).Methods().Get(j).Input())
			}
		}
		return true
	})
	if seen < 80 {
		t.Errorf("only %d methods", seen)
	}
	try(t, (&libraryv1.Book{}).ProtoReflect().Descriptor())
}

func try(t *testing.T, d protoreflect.MessageDescriptor) {
	t.Helper()
	out := JSON(d)
	m := dynamicpb.NewMessage(d)
	if err := protojson.Unmarshal([]byte(out), m); err != nil {
		t.Errorf("%s: %v in\n%s", d.FullName(), err, out)
		return
	}
	if err := protovalidate.Validate(m); err != nil {
		t.Errorf("%s: %v in\n%s", d.FullName(), err, out)
	}
}

func TestTexts(t *testing.T) {
	pattern := func(p string) *validate.StringRules { return &validate.StringRules{Pattern: &p} }
	for _, rules := range []*validate.StringRules{
		pattern("^[A-Z]{3}$"), pattern("^[0-9a-f]{32}$"), pattern(`^([a-z][a-z0-9-]{0,62})?$`), pattern(`^[^\x00]+$`), pattern(`^(EUR|USD)$`), pattern(`^\d{4}-\d{2}$`),
		pattern(`^\+?[1-9]\d{6,14}$`), {MinLen: proto.Uint64(12)}, {Len: proto.Uint64(3)}, {Prefix: new("ab"), Suffix: new("yz"), MinLen: proto.Uint64(9)},
		{In: []string{"a", "b"}}, {Const: new("only")},
		{WellKnown: &validate.StringRules_Email{Email: true}}, {WellKnown: &validate.StringRules_Uuid{Uuid: true}}, {WellKnown: &validate.StringRules_Uri{Uri: true}},
	} {
		field := &validate.FieldRules{Type: &validate.FieldRules_String_{String_: rules}}
		got, ok := text(field).(string)
		if !ok || got == "" && rules.Pattern == nil {
			t.Errorf("%v: %q", rules, got)
		}
		if rules.Pattern != nil && !regexp.MustCompile(rules.GetPattern()).MatchString(got) {
			t.Errorf("%v: %q", rules, got)
		}
	}
	long := &validate.FieldRules{Type: &validate.FieldRules_String_{String_: &validate.StringRules{Pattern: new("^[a-z]+$"), MinLen: proto.Uint64(20)}}}
	if got, _ := text(long).(string); len(got) < 20 || strings.Trim(got, "a") != "" {
		t.Errorf("%q", got)
	}
}
