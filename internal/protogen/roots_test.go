package protogen_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gowarren/warren/internal/protogen"
)

func TestRoots(t *testing.T) {
	dir := t.TempDir()
	for _, folder := range []string{"api/shop", "api/api", "shop/api", "bench/api", "shop/catalog/api", "docs"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"go.mod", "bench/go.mod", "docs/api"} {
		if err := os.WriteFile(filepath.Join(dir, file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := protogen.Roots(dir), []string{filepath.Join(dir, "api"), filepath.Join(dir, "shop", "api")}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := protogen.Roots(filepath.Join(dir, "nowhere")); got != nil {
		t.Errorf("a folder that is not there: %q", got)
	}
}
