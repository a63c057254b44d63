package contract_test

import (
	"testing"

	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/gowarren/warren/internal/contract"
)

func registered(t *testing.T, sources map[string]string) *protoregistry.Files {
	t.Helper()
	files := &protoregistry.Files{}
	for _, fd := range compile(t, sources) {
		if err := files.RegisterFile(fd); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func TestBreaking(t *testing.T) {
	old := registered(t, map[string]string{"shop.proto": source(t, "testdata/breaking/old.proto")})
	changed := registered(t, map[string]string{"shop.proto": source(t, "testdata/breaking/new.proto")})
	golden(t, "testdata/breaking/problems.txt", contract.Breaking(old, changed).Error()+"\n")
	if problems := contract.Breaking(old, old); len(problems) > 0 {
		t.Errorf("against itself: %v", problems)
	}
}

func TestBreakingFiles(t *testing.T) {
	const one = `syntax = "proto3"; package a.v1; message M {} service S { rpc Do(M) returns (M); }`
	old := map[string]string{"one.proto": one}
	for _, c := range []struct {
		name    string
		changed map[string]string
		want    string
	}{
		{"moved to another file", map[string]string{"two.proto": one}, ""},
		{
			"file gone", map[string]string{},
			"one.proto:1: a.v1.M: the message is gone; keep it, marked deprecated, or make a new version of the package\n" +
				"one.proto:1: a.v1.S: the service is gone; keep it, marked deprecated, or make a new version of the package",
		},
		{
			"package renamed", map[string]string{"one.proto": `syntax = "proto3"; package b.v1; message M {}`},
			"one.proto:1: one.proto: its package changed from a.v1 to b.v1; keep the package, and put what is new into a file of its own",
		},
		{
			"message became an enum", map[string]string{"one.proto": `syntax = "proto3"; package a.v1; enum M { Z = 0; } message N {} service S { rpc Do(N) returns (N); }`},
			"one.proto:1: /a.v1.S/Do: its request changed from a.v1.M to a.v1.N; keep it, and add a method for the new one\n" +
				"one.proto:1: /a.v1.S/Do: its response changed from a.v1.M to a.v1.N; keep it, and add a method for the new one\n" +
				"one.proto:1: a.v1.M: the message is gone; keep it, marked deprecated, or make a new version of the package",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			problems := contract.Breaking(registered(t, old), registered(t, c.changed))
			if got := problems.Error(); got != c.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
			}
		})
	}
}
