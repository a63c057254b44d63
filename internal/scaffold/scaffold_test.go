package scaffold_test

import (
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gowarren/warren/internal/lint"
	"github.com/gowarren/warren/internal/scaffold"
	"github.com/gowarren/warren/internal/system"
)

// module makes a fresh module that uses this repository's Warren, and needs
// nothing that is not on this machine.
func module(t *testing.T, name string) string {
	t.Helper()
	t.Setenv("GOFLAGS", "-mod=mod")
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOWORK", "off")
	t.Setenv("CGO_ENABLED", "0")
	repo, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	text := strings.Replace(read(t, filepath.Join(repo, "go.mod")), "module github.com/gowarren/warren\n", "module "+name+"\n", 1)
	write(t, filepath.Join(dir, "go.mod"), text+"\nrequire github.com/gowarren/warren v0.0.0\n\nreplace github.com/gowarren/warren => "+repo+"\n")
	write(t, filepath.Join(dir, "go.sum"), read(t, filepath.Join(repo, "go.sum")))
	return dir
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// run runs the go command in a folder.
func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestNewServiceInAFreshModule(t *testing.T) {
	dir := module(t, "zoo.example/My_Shop") // sorts behind Warren's imports, and is no system's name
	file := filepath.Join(dir, "warren.yaml")
	made, err := scaffold.Write(t.Context(), scaffold.Service{Name: "greeting", File: file})
	if err != nil {
		t.Fatal(err)
	}
	const api = "api/myshop/greeting/v1/"
	want := []string{api + "greeting.pb.go", api + "greeting.proto", api + "greeting_grpc.pb.go",
		"greeting/main.go", "greeting/service.go", "greeting/service_test.go", "warren.yaml"}
	if !slices.Equal(made, want) {
		t.Errorf("made %v, want %v", made, want)
	}
	sys, err := system.Load(file, "")
	if err != nil {
		t.Fatal(err)
	}
	if svc, ok := sys.Service("greeting"); sys.Name != "my-shop" || !ok || svc.Path != "./greeting" {
		t.Errorf("system %s with %+v", sys.Name, sys.Services)
	}
	if _, err := scaffold.Write(t.Context(), scaffold.Service{Name: "parting", File: file}); err != nil {
		t.Fatal(err)
	}
	formatted(t, dir)
	report, err := lint.Lint(t.Context(), filepath.Join(dir, "api"))
	if err != nil || len(report.Problems) > 0 {
		t.Errorf("lint: %v, %v", report, err)
	}
	run(t, dir, "vet", "./...")
	if out := run(t, dir, "test", "./greeting", "./parting"); strings.Count(out, "ok") != 2 {
		t.Errorf("tests of the services: %s", out)
	}
}

func formatted(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".go" {
			return err
		}
		text := read(t, name)
		if nice, err := format.Source([]byte(text)); err != nil || string(nice) != text {
			t.Errorf("%s is not formatted: %v", name, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNewServiceStandsBesideTheOthers(t *testing.T) {
	dir := module(t, "example.com/everything")
	file := filepath.Join(dir, "deploy", "warren.yaml")
	write(t, file, "system: shop\nservices:\n  catalog: {path: ./services/catalog}\n")
	made, err := scaffold.Write(t.Context(), scaffold.Service{Name: "reviews", File: file})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(made, "services/reviews/main.go") || !slices.Contains(made, "services/api/shop/reviews/v1/reviews.proto") {
		t.Errorf("made %v", made)
	}
	contract := read(t, filepath.Join(dir, "deploy/services/api/shop/reviews/v1/reviews.proto"))
	if want := `option go_package = "example.com/everything/deploy/services/api/shop/reviews/v1;reviewsv1";`; !strings.Contains(contract, want) {
		t.Errorf("want %s in:\n%s", want, contract)
	}
	if got := read(t, file); !strings.HasSuffix(got, "  reviews: {path: ./services/reviews}\n") {
		t.Errorf("system file:\n%s", got)
	}
}

func TestNewServiceChangesNothingWhenItCannot(t *testing.T) {
	tests := map[string]struct {
		name  string
		files map[string]string // beside go.mod; one that is empty is removed
		want  string
	}{
		"capital letters":     {"Reviews", nil, "want a short name"},
		"a dash":              {"my-reviews", nil, "want a short name"},
		"one letter":          {"r", nil, "want a short name"},
		"a path":              {"../reviews", nil, "want a short name"},
		"the folder of all":   {"api", nil, "choose another"},
		"hidden by Go":        {"internal", nil, "choose another"},
		"an edge":             {"gateway", nil, "choose another"},
		"an import":           {"google", nil, "choose another"},
		"there already":       {"catalog", map[string]string{"warren.yaml": "system: x\nservices:\n  catalog: {path: ./c}\n"}, "has a service of that name"},
		"folder in use":       {"reviews", map[string]string{"reviews/notes.txt": "mine"}, "folder reviews is already there"},
		"contract in use":     {"reviews", map[string]string{"api/myshop/reviews/v1/old.proto": "mine"}, "already there, and not empty"},
		"broken system file":  {"reviews", map[string]string{"warren.yaml": "sytem: x\n"}, "did you mean system?"},
		"services in braces":  {"reviews", map[string]string{"warren.yaml": "system: x\nservices: {a: {path: ./a}}\n"}, "on a line of its own"},
		"no module":           {"reviews", map[string]string{"go.mod": ""}, "go mod init"},
		"without Warren":      {"reviews", map[string]string{"go.mod": "module x\n\ngo 1.26\n"}, "go get github.com/gowarren/warren"},
		"without generators":  {"reviews", map[string]string{"go.mod": "module x\n\ngo 1.26\n\nrequire github.com/gowarren/warren v0.0.0\n"}, "go get -tool google.golang.org/protobuf/cmd/protoc-gen-go "},
		"a broken neighbour":  {"reviews", map[string]string{"api/other.proto": "syntax = \"proto3\"; massage X {}"}, "other.proto:1"},
		"go.mod nobody reads": {"reviews", map[string]string{"go.mod": "modul x\n"}, "read "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := module(t, "example.com/myshop")
			for f, text := range tt.files {
				if text == "" {
					if err := os.Remove(filepath.Join(dir, f)); err != nil {
						t.Fatal(err)
					}
					continue
				}
				write(t, filepath.Join(dir, f), text)
			}
			before := tree(t, dir)
			_, err := scaffold.Write(t.Context(), scaffold.Service{Name: tt.name, File: filepath.Join(dir, "warren.yaml")})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if after := tree(t, dir); after != before {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
		})
	}
}

// tree is the names and contents of all files.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			out.WriteString(name + "\n" + read(t, name) + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}
