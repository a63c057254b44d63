package fileconfig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// lock keeps other processes, and other users of this driver, from changing
// files until unlock. The system frees it when the process dies.
func (f *files) lock(ctx context.Context) (unlock func(), err error) {
	if _, err := os.Stat(f.folder); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(f.path("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for {
		locked, err := tryLock(file)
		if locked {
			return func() { _ = file.Close() }, nil // which frees it
		}
		if err == nil {
			select {
			case <-ctx.Done():
				err = ctx.Err()
			case <-ticker.C:
				continue
			}
		}
		return nil, errors.Join(fmt.Errorf("lock %s: %w", file.Name(), err), file.Close())
	}
}
