package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// loadSnapshot puts the last good document of an earlier life in force.
func (f *follower) loadSnapshot() {
	path := f.settings.options.Snapshot
	if path == "" {
		return
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var d document
	if err == nil {
		d, err = decode(data, f.settings.options.Environment)
	}
	if err != nil {
		f.settings.logger.Warn("the snapshot of the settings is not used", "file", path, "error", err)
		return
	}
	f.settings.apply(d, data)
	f.snapshot = true
}

// saveSnapshot is best effort: without it only a start while the centre is away
// suffers. The checksum finds a file that a crash left incomplete.
func (f *follower) saveSnapshot(data []byte) {
	path := f.settings.options.Snapshot
	if path == "" {
		return
	}
	if err := replaceFile(path, data); err != nil {
		f.settings.logger.Warn("the snapshot of the settings is not written", "error", err)
	}
}

func replaceFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = temporary.Write(data)
	err = errors.Join(err, temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(temporary.Name()))
	}
	return nil
}
