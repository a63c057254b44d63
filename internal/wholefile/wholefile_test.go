package wholefile_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/gowarren/warren/internal/disktest"
	"github.com/gowarren/warren/internal/wholefile"
)

func TestMain(m *testing.M) { os.Exit(disktest.Main(m, fullDisk)) }

// fullDisk: what there was stays, and nothing else.
func fullDisk(d *disktest.Disk) error {
	path := filepath.Join(d.Dir, "deep", "file")
	if err := wholefile.Write(path, []byte("old")); err != nil {
		return err
	}
	if err := d.Fill(d.Dir, 100); err != nil {
		return err
	}
	long := bytes.Repeat([]byte("new"), 1000)
	if err := wholefile.Write(path, long); !errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("on a full disk, want EFBIG: %w", err)
	}
	if err := holds(path, "old"); err != nil {
		return err
	}
	if err := d.Clear(); err != nil {
		return err
	}
	if err := wholefile.Write(path, long); err != nil {
		return err
	}
	return holds(path, string(long))
}

// holds reports what else is in the file, or in its folder.
func holds(path, want string) error {
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		return fmt.Errorf("%d bytes are there, want %d; %w", len(got), len(want), err)
	}
	all, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(all) != 1 {
		return fmt.Errorf("files beside it: %v; %w", all, err)
	}
	return nil
}

func TestWriteOnAFullDisk(t *testing.T) { disktest.Run(t) }

func TestWriteIsForTheOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("seen by all"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := wholefile.Write(path, []byte("secret")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestWriteIsWholeForReaders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	contents := [][]byte{bytes.Repeat([]byte("a"), 100_000), bytes.Repeat([]byte("b"), 70_000)}
	if err := wholefile.Write(path, contents[0]); err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for _, content := range contents {
		writers.Go(func() {
			for range 50 {
				if err := wholefile.Write(path, content); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	for {
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, contents[0]) && !bytes.Equal(got, contents[1]) {
			t.Fatalf("read %d bytes, %v", len(got), err)
		}
		select {
		case <-done:
			return
		default:
		}
	}
}

func TestWriteSaysWhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	err := wholefile.Write(path, nil)
	if e, ok := errors.AsType[*os.LinkError](err); !ok || e.New != path {
		t.Errorf("to a folder: %v", err)
	}
	if all, err := fs.ReadDir(os.DirFS(filepath.Dir(path)), "."); err != nil || len(all) != 1 {
		t.Errorf("left behind: %v, %v", all, err)
	}
}
