//go:build unix

package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gowarren/warren/store"
)

// A database holds password hashes and keys: nobody else on the machine reads it.
func TestFilesAreTheirOwnersOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "shop.db")
	db := open(t, "sqlite:"+path, store.Options{})
	if _, err := db.Exec(t.Context(), `CREATE TABLE t (id BIGINT)`); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{filepath.Dir(path): 0o700, path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o; want %o", filepath.Base(name), got, want)
		}
	}
}
