// Package disktest lets tests see what happens on a full disk, everywhere and
// without rights: in a process of its own whose files the kernel lets grow no
// further.
package disktest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// folder is what makes the binary of a test the process with the full disk.
const folder = "WARREN_TEST_FULL_DISK"

// patience is generous: it is only used up where something is wrong.
const patience = 4 * time.Minute

// Disk is what the process writes to.
type Disk struct {
	Dir    string // empty at first
	before syscall.Rlimit
}

// Main is what TestMain exits with. It runs the tests, or, in the process that
// Run starts, the story.
func Main(m *testing.M, story func(*Disk) error) int {
	dir := os.Getenv(folder)
	if dir == "" {
		return m.Run()
	}
	signal.Ignore(syscall.SIGXFSZ) // so that writing fails instead
	if err := story(&Disk{Dir: dir}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// Run plays the story that Main was given, in a process of its own.
func Run(t *testing.T) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // itself
	cmd.Env = append(os.Environ(), folder+"="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("on a full disk: %v\n%s", err, out)
	}
}

// Fill lets no file become longer than the longest one below a folder is, and so
// many bytes.
func (d *Disk) Fill(below string, room int64) error {
	size, err := longest(below)
	if err = errors.Join(err, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &d.before)); err != nil {
		return fmt.Errorf("fill the disk: %w", err)
	}
	full := syscall.Rlimit{Cur: uint64(size + room), Max: d.before.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &full); err != nil {
		return fmt.Errorf("fill the disk: %w", err)
	}
	return nil
}

// Clear lets files grow again.
func (d *Disk) Clear() error {
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &d.before); err != nil {
		return fmt.Errorf("clear the disk: %w", err)
	}
	return nil
}

func longest(below string) (most int64, err error) {
	err = filepath.WalkDir(below, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			most = max(most, info.Size())
		}
		return err
	})
	return most, err
}

// Within waits for a condition. It asks often: what is asked may be what fills
// the disk.
func Within(what string, holds func() bool) error {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	end := time.After(patience)
	for !holds() {
		select {
		case <-ticker.C:
		case <-end:
			return fmt.Errorf("not within %s: %s", patience, what)
		}
	}
	return nil
}
