package config

import (
	"errors"
	"io/fs"
	"os"

	"github.com/gowarren/warren/internal/wholefile"
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
	if err := wholefile.Write(path, data); err != nil {
		f.settings.logger.Warn("the snapshot of the settings is not written", "error", err)
	}
}
