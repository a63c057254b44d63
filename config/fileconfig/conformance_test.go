package fileconfig_test

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/gowarren/warren/config/configtest"
	"github.com/gowarren/warren/config/driver"
	"github.com/gowarren/warren/config/fileconfig"
)

func TestConformance(t *testing.T) {
	configtest.Run(t, func(t *testing.T) configtest.Harness {
		folder := filepath.Join(t.TempDir(), "settings")
		check(t, os.Mkdir(folder, 0o700))
		document := func(environment string) string {
			return filepath.Join(folder, "settings."+environment+".json")
		}
		return configtest.Harness{
			Open: func(t *testing.T) driver.Driver { return open(t, folder) },
			// What can go away is the folder: a disk that isn't mounted.
			Stop:  func(t *testing.T) { check(t, os.Rename(folder, folder+".away")) },
			Start: func(t *testing.T) { check(t, os.Rename(folder+".away", folder)) },
			Write: func(t *testing.T, environment string, data []byte) {
				if data == nil {
					check(t, os.Remove(document(environment)))
					return
				}
				// In one step, so that what is read is what the suite wrote.
				check(t, os.WriteFile(folder+".new", data, 0o600))
				check(t, os.Rename(folder+".new", document(environment)))
			},
			Read: func(t *testing.T, environment string) []byte {
				data, err := os.ReadFile(document(environment))
				check(t, err)
				return data
			},
		}
	})
}

func open(t *testing.T, folder string) driver.Driver {
	t.Helper()
	u, err := url.Parse("file://" + folder + "/settings.json")
	check(t, err)
	_, err = os.Stat(folder + ".away")
	away := err == nil
	d, err := fileconfig.Open(t.Context(), u)
	check(t, err)
	if away { // Open made a new folder; the old one is to come back in its place
		if err := os.Remove(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { check(t, d.Close()) })
	return d
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
