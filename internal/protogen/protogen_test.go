package protogen_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gowarren/warren/internal/protogen"
)

const shelf = `syntax = "proto3";

// Package shelf.v1 is where books stand.
package shelf.v1;

option go_package = "example.test/shelf/v1;shelfv1";

message Book {
  string name = 1;
}

service Shelf {
  rpc Get(Book) returns (Book);
}
`

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func generate(t *testing.T, roots ...string) map[string][]byte {
	t.Helper()
	files, err := protogen.Generate(t.Context(), protogen.GoPlugins(), roots...)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestGenerate(t *testing.T) {
	one, two := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "two")
	write(t, filepath.Join(one, "shelf/v1/shelf.proto"), shelf)
	write(t, filepath.Join(two, "shop/v1/shop.proto"), `syntax = "proto3";
package shop.v1;
import "shelf/v1/shelf.proto";
option go_package = "example.test/shop/v1;shopv1";
message Order { shelf.v1.Book book = 1; }
`)
	files := generate(t, one, two)
	var got []string
	for path := range files {
		got = append(got, path)
	}
	slices.Sort(got)
	want := []string{
		filepath.Join(one, "shelf/v1/shelf.pb.go"),
		filepath.Join(one, "shelf/v1/shelf_grpc.pb.go"),
		filepath.Join(two, "shop/v1/shop.pb.go"),
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	const comment = "\n// Package shelfv1 is where books stand.\npackage shelfv1\n"
	if !bytes.Contains(files[filepath.Join(one, "shelf/v1/shelf.pb.go")], []byte(comment)) {
		t.Error("the comment on the contract's package is not the Go package's")
	}
	if bytes.Contains(files[filepath.Join(one, "shelf/v1/shelf_grpc.pb.go")], []byte(comment)) {
		t.Error("the Go package has two comments")
	}
}

// "a.proto" makes "a_b.pb.go" as far as its name says; "a_b.proto" does in truth.
func TestFilesStandBesideTheirOwnContract(t *testing.T) {
	one, two := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "two")
	contract := func(message string) string {
		return `syntax = "proto3"; package shelf.v1; option go_package = "example.test/shelf/v1;shelfv1"; message ` + message + ` {}`
	}
	write(t, filepath.Join(one, "shelf/v1/shelf.proto"), contract("Book"))
	write(t, filepath.Join(two, "shelf/v1/shelf_board.proto"), contract("Board"))
	for range 10 { // an order by chance is wrong half of the time
		files := generate(t, one, two)
		for _, want := range []string{filepath.Join(one, "shelf/v1/shelf.pb.go"), filepath.Join(two, "shelf/v1/shelf_board.pb.go")} {
			if files[want] == nil {
				t.Fatalf("%s was not made", want)
			}
		}
	}
}

func TestWriteAndDiff(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "shelf.proto"), shelf)
	files := generate(t, root)
	code, services := filepath.Join(root, "shelf.pb.go"), filepath.Join(root, "shelf_grpc.pb.go")
	diff := func(want ...string) {
		t.Helper()
		got, err := protogen.Diff(files, root)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
	diff(code+": is missing", services+": is missing")
	if err := protogen.Write(files); err != nil {
		t.Fatal(err)
	}
	diff()
	before, err := os.Stat(services)
	if err != nil {
		t.Fatal(err)
	}
	write(t, code, "package shelfv1\n")
	gone := filepath.Join(root, "gone.pb.go")
	write(t, gone, "package shelfv1\n")
	diff(code+": is not what its contract generates", gone+": is stale, its contract is gone")
	if err := protogen.Write(files); err != nil {
		t.Fatal(err)
	}
	diff(gone + ": is stale, its contract is gone")
	after, err := os.Stat(services)
	if err != nil || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("a file that was right was written again: %v", err)
	}
}

func TestGenerateRefuses(t *testing.T) {
	empty, bad, twice := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, filepath.Join(bad, "shelf.proto"), strings.Replace(shelf, "Book)", "Nothing)", 1))
	write(t, filepath.Join(twice, "shelf.proto"), shelf)
	for _, c := range []struct {
		name    string
		plugins []protogen.Plugin
		roots   []string
		want    string
	}{
		{"root missing", protogen.GoPlugins(), []string{filepath.Join(empty, "nothing")}, "nothing"},
		{"no contract", protogen.GoPlugins(), []string{empty}, "no .proto file below " + empty},
		{"bad contract", protogen.GoPlugins(), []string{bad}, "unknown request type Nothing"},
		{"one path twice", protogen.GoPlugins(), []string{bad, twice}, "shelf.proto stands below"},
		{"no such plugin", []protogen.Plugin{{Command: []string{filepath.Join(empty, "no-plugin")}}}, []string{twice}, "no-plugin"},
		{"plugin refuses", []protogen.Plugin{{Command: []string{"go", "tool", "protoc-gen-go"}, Parameter: "what=ever"}}, []string{twice}, "what"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := protogen.Generate(t.Context(), c.plugins, c.roots...)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// TestCurrent proves that the generated code of this repository is current.
func TestCurrent(t *testing.T) {
	roots := []string{"../../api", "../../shop/api", "../transcode/testpb"}
	lines, err := protogen.Diff(generate(t, roots...), roots...)
	if err != nil || len(lines) > 0 {
		t.Errorf("generate the code again: %v\n%s", err, strings.Join(lines, "\n"))
	}
}
