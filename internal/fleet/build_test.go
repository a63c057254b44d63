package fleet

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestServicesAreBuiltAgain: what was built before is built by one command,
// with the same result: new code counts, and a mistake has its service's name.
func TestServicesAreBuiltAgain(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const says = "package main\n\nfunc main() { print(`%`) }\n"
	write("go.mod", "module shop\n\ngo 1.26\n")
	plan := Plan{Data: t.TempDir(), Root: root}
	for _, s := range []ServicePlan{{Name: "one", Package: "./one"}, {Name: "v2", Package: "./v2"}, {Name: "three", Package: "./elsewhere"}} {
		plan.Services = append(plan.Services, s)
		write(s.Package+"/main.go", strings.Replace(says, "%", s.Name, 1))
	}
	for _, version := range []string{"", " again"} {
		var told []string
		for _, s := range plan.Services {
			write(s.Package+"/main.go", strings.Replace(says, "%", s.Name+version, 1))
		}
		var mu sync.Mutex
		programs, err := build(t.Context(), plan, func(e Event) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, e.Message)
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, program := range programs {
			out, err := exec.Command(program).CombinedOutput()
			if want := plan.Services[i].Name + version; err != nil || string(out) != want {
				t.Errorf("%s says %q, %v; want %q", program, out, err, want)
			}
		}
		if all := strings.Join(told, "\n"); strings.Count(all, "building ") != 3 || strings.Count(all, "built ") != 3 {
			t.Errorf("told:\n%s", all)
		}
	}
	write("one/main.go", "package main\n\nfunc main() { undefined() }\n")
	_, err := build(t.Context(), plan, func(Event) {})
	if err == nil || !strings.Contains(err.Error(), "build service one (./one)") || !strings.Contains(err.Error(), "undefined: undefined") {
		t.Errorf("a mistake: %v", err)
	}
}
