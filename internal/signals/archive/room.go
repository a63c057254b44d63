package archive

import (
	"fmt"
	"syscall"
)

// freeOf asks how much of a folder's disk is free.
func freeOf(dir string) func() (int64, error) {
	return func() (int64, error) {
		var disk syscall.Statfs_t
		if err := syscall.Statfs(dir, &disk); err != nil {
			return 0, fmt.Errorf("look at the disk: %w", err)
		}
		return int64(disk.Bavail) * int64(disk.Bsize), nil //nolint:unconvert // their types differ among systems
	}
}

// room says that the disk has too little: the last of it is for the databases of
// the services, which suffer more from a full one than traces do.
func (a *Archive) room() error {
	reserve := a.opts.Limits().Reserve
	if free, err := a.opts.Free(); err == nil && free < reserve {
		return fmt.Errorf("the disk has less than %d MiB free", reserve>>20)
	}
	return nil
}
