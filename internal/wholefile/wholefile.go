// Package wholefile writes files that are there whole or not at all.
package wholefile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Write makes content that of the file, which only its owner may read. Whoever
// reads it finds the old content or the new, never a part, whatever dies on the
// way; after Write has returned also a power cut leaves the new. Folders that the
// path needs are made. Writers of one file may run at once: the last one counts.
func Write(path string, content []byte) error {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	next, err := os.CreateTemp(folder, filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = next.Write(content)
	err = errors.Join(err, next.Sync(), next.Close())
	if err == nil {
		err = os.Rename(next.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(next.Name())))
	}
	if err := syncFolder(folder); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
