//go:build unix

package wholefile

import (
	"errors"
	"os"
)

// syncFolder makes a renaming survive a power cut.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
