package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestReplay has the real customers of the real shop buy once more, by the program
// that is there for that: it names the lines of the file that are no orders, follows
// the others to their ends, and finds money, stock, shipments and messages right.
func TestReplay(t *testing.T) {
	const lines = 120
	s := open(t)
	all, err := os.ReadFile("../replay/orders.csv")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "orders.csv")
	some := strings.Join(strings.SplitAfter(string(all), "\n")[:1+lines], "") +
		"C536541,21915,RED HARMONICA,-12,12/1/2010 14:05,1.25,14911,EIRE\n" + // given back
		"536541,21915\n" // cut off
	if err := os.WriteFile(file, []byte(some), 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "replay")
	build := exec.Command("go", "build", "-o", program, "../replay")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	out, err := exec.CommandContext(s.within(5*time.Minute), program, "--gateway", s.url, "--file", file).CombinedOutput()
	if err != nil {
		t.Errorf("replay: %v", err)
	}
	for _, want := range []string{
		"122 lines; 2 of them are no orders", "credit note: 1 lines refused", "columns: 1 lines refused",
		"DELIVERED: ", "money, stock, shipments and messages are right",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if t.Failed() {
		t.Logf("it says:\n%s", out)
	}
}
