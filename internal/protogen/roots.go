package protogen

import (
	"os"
	"path/filepath"
)

// Roots returns the folders named api in a folder and one below, which is
// where a system's contracts are. Folders that are Go modules of their own
// are somebody else's.
func Roots(dir string) []string {
	roots := folder(nil, filepath.Join(dir, "api"))
	entries, err := os.ReadDir(dir)
	if err != nil {
		return roots // the caller says that there is nothing
	}
	for _, e := range entries {
		below := filepath.Join(dir, e.Name())
		if _, err := os.Stat(filepath.Join(below, "go.mod")); err != nil && e.Name() != "api" {
			roots = folder(roots, filepath.Join(below, "api"))
		}
	}
	return roots
}

func folder(roots []string, path string) []string {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return append(roots, path)
	}
	return roots
}
