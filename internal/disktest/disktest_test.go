package disktest_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/gowarren/warren/internal/disktest"
)

func TestMain(m *testing.M) { os.Exit(disktest.Main(m, story)) }

func TestRun(t *testing.T) { disktest.Run(t) }

// story fills the disk in the middle of a file.
func story(d *disktest.Disk) error {
	path := filepath.Join(d.Dir, "file")
	if err := os.WriteFile(path, make([]byte, 100), 0o600); err != nil {
		return err
	}
	if err := d.Fill(d.Dir, 50); err != nil {
		return err
	}
	if err := os.WriteFile(path, make([]byte, 200), 0o600); !errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("written on a full disk: %w", err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != 150 {
		return fmt.Errorf("the file has %v, %w", info, err)
	}
	if err := d.Clear(); err != nil {
		return err
	}
	return os.WriteFile(path, make([]byte, 200), 0o600)
}
