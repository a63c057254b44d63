package node

import (
	"os"
	"path/filepath"
	"testing"
)

func TestContainerMemory(t *testing.T) {
	for text, want := range map[string]int64{"536870912\n": 512 << 20, "max\n": 0, "": 0, "-1": 0, "lots": 0} {
		path := filepath.Join(t.TempDir(), "memory.max")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := containerMemory(path); got != want {
			t.Errorf("limit %q: got %d, want %d", text, got, want)
		}
	}
	if got := containerMemory(filepath.Join(t.TempDir(), "nothing")); got != 0 {
		t.Errorf("no control group: got %d, want 0", got)
	}
}
