package lint_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/gowarren/warren/internal/lint"
	"github.com/gowarren/warren/internal/protogen"
)

const good = `syntax = "proto3";
package shelf.v1;
import "warren/v1/options.proto";
message Book {
  string name = 1;
}
service Shelf {
  rpc Get(Book) returns (Book) {
    option (warren.v1.method) = {access: ACCESS_PUBLIC, timeout: "1s"};
  }
}
`

// write stores files below root, by path, and returns root.
func write(t *testing.T, root string, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// expect compares the problems with what is wanted, with root cut off.
func expect(t *testing.T, report *lint.Report, err error, root string, want ...string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.ReplaceAll(report.Problems.Error(), root+string(filepath.Separator), "")
	if got != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
}

func TestLint(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"good", map[string]string{"shelf/v1/shelf.proto": good}, nil},
		{
			"contradiction", map[string]string{"shelf.proto": strings.Replace(good, `"1s"`, `"soon"`, 1)},
			[]string{`shelf.proto:8: /shelf.v1.Shelf/Get: the timeout "soon" is not a duration; write a number and a unit, such as "250ms" or "2s"`},
		},
		{
			"does not compile", map[string]string{
				"a.proto": `syntax = "proto3"; message A { Nothing n = 1; }`,
				"b.proto": "syntax = \"proto3\";\nmessage B { int32 n = 0; }",
			},
			[]string{
				`a.proto:1: field A.n: unknown type Nothing`,
				`b.proto:2: tag number 0 must be greater than zero`,
			},
		},
		{
			"unknown import", map[string]string{"a.proto": "syntax = \"proto3\";\nimport \"nowhere.proto\";"},
			[]string{`a.proto:2: open nowhere.proto: no such file or directory`},
		},
		{"empty", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := write(t, t.TempDir(), c.files)
			report, err := lint.Lint(t.Context(), root)
			expect(t, report, err, root, c.want...)
		})
	}
}

func TestLintRules(t *testing.T) {
	root := write(t, t.TempDir(), map[string]string{"a.proto": `syntax = "proto3";
import "buf/validate/validate.proto";
message A {
  message B {
    string name = 1 [(buf.validate.field).cel = {id: "x", expression: "this.size("}];
  }
  map<string, B> all = 1;
  string code = 2 [(buf.validate.field).string.pattern = "("];
}`})
	report, err := lint.Lint(t.Context(), root)
	if err != nil || len(report.Problems) != 2 {
		t.Fatalf("got %v, %v", report, err)
	}
	for i, want := range []string{"string.pattern: error parsing regexp", "expression x:"} {
		if p := report.Problems[i]; p.Line != 3+i || !strings.Contains(p.Message, want) {
			t.Errorf("got %s, want line %d, %s", p, 3+i, want)
		}
	}
}

func TestLintRootMissing(t *testing.T) {
	root := filepath.Join(t.TempDir(), "nothing")
	if _, err := lint.Lint(t.Context(), root); err == nil || !strings.Contains(err.Error(), root) {
		t.Errorf("got %v", err)
	}
}

func TestReportInJSON(t *testing.T) {
	root := write(t, t.TempDir(), map[string]string{"shelf.proto": good})
	report, err := lint.Lint(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"files":1,"methods":1,"problems":[]}`; string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAgainst(t *testing.T) {
	old := &protoregistry.Files{}
	theirs := `syntax = "proto3"; package other.v1; message M {}`
	files, err := protogen.CompileSources(t.Context(), map[string]string{"shelf.proto": good, "other.proto": theirs})
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range files {
		if err := old.RegisterFile(fd); err != nil {
			t.Fatal(err)
		}
	}
	root := write(t, t.TempDir(), map[string]string{"shelf.proto": strings.Replace(good, "ACCESS_PUBLIC", "ACCESS_INTERNAL", 1)})
	report, err := lint.Against(t.Context(), old, root)
	expect(t, report, err, root,
		"shelf.proto:8: /shelf.v1.Shelf/Get: its access is tighter: it was public and is internal; keep it as it was, or move callers to a new method first")
}

func runGit(t *testing.T, folder string, args ...string) {
	t.Helper()
	who := []string{"-C", folder, "-c", "user.name=Test", "-c", "user.email=test@example.test", "-c", "commit.gpgsign=false"}
	cmd := exec.CommandContext(t.Context(), "git", append(who, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

func TestAgainstGit(t *testing.T) {
	repository := t.TempDir()
	root := write(t, filepath.Join(repository, "api"), map[string]string{"shelf v1/shelf.proto": good, "old.proto": `syntax = "proto3"; package old.v1; message Old {}`})
	write(t, repository, map[string]string{"elsewhere/x.proto": "no contract of ours"})
	runGit(t, repository, "init", "-q")
	runGit(t, repository, "add", ".")
	runGit(t, repository, "commit", "-q", "-m", "contracts")
	later := write(t, filepath.Join(repository, "later"), map[string]string{"new.proto": `syntax = "proto3"; package new.v1; message New {}`})

	t.Run("nothing changed", func(t *testing.T) {
		report, err := lint.AgainstGit(t.Context(), "HEAD", root, later)
		expect(t, report, err, root)
	})
	write(t, root, map[string]string{"shelf v1/shelf.proto": strings.Replace(good, "string name = 1", "string title = 1", 1)})
	if err := os.Remove(filepath.Join(root, "old.proto")); err != nil {
		t.Fatal(err)
	}
	t.Run("changed and gone", func(t *testing.T) {
		report, err := lint.AgainstGit(t.Context(), "HEAD", root)
		expect(t, report, err, root,
			"old.proto:1: old.v1.Old: the message is gone; keep it, marked deprecated, or make a new version of the package",
			"shelf v1/shelf.proto:5: shelf.v1.Book.name: the field with number 1 is called title now; keep the name: JSON and programs use it")
	})
	t.Run("everything gone", func(t *testing.T) {
		if err := os.Remove(filepath.Join(root, "shelf v1", "shelf.proto")); err != nil {
			t.Fatal(err)
		}
		report, err := lint.AgainstGit(t.Context(), "HEAD", root)
		if err != nil || len(report.Problems) != 3 {
			t.Errorf("got %v, %v", report, err)
		}
	})
	for _, revision := range []string{"nowhere", "--output=x"} {
		if _, err := lint.AgainstGit(t.Context(), revision, root); err == nil || !strings.Contains(err.Error(), "find revision "+revision) {
			t.Errorf("revision %s: got %v", revision, err)
		}
	}
}

func TestAgainstGitOutsideOfOne(t *testing.T) {
	root := write(t, t.TempDir(), map[string]string{"shelf.proto": good})
	if _, err := lint.AgainstGit(t.Context(), "HEAD", root); err == nil || !strings.Contains(err.Error(), "not a git repository") {
		t.Errorf("got %v", err)
	}
}

// TestOwnContracts keeps the contracts of this repository free of problems.
func TestOwnContracts(t *testing.T) {
	report, err := lint.Lint(t.Context(), "../../api", "../../shop/api")
	expect(t, report, err, "")
	if report != nil && report.Methods == 0 {
		t.Error("no methods found")
	}
}
