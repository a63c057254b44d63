package fileconfig

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A folder that is away in the moment in which it is to be watched is polled,
// and watched once it is back.
func TestFolderThatIsBackIsWatched(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "settings")
	check(t, os.Mkdir(folder, 0o700))
	eyes := (&files{folder: folder, poll: time.Hour}).open()
	defer eyes.close()
	check(t, os.Rename(folder, folder+".away"))
	eyes.again()
	if !eyes.blind {
		t.Fatal("a folder that is away is watched")
	}
	await(t, eyes.ticker.C, "a blind watch does not poll")
	check(t, os.Rename(folder+".away", folder))
	eyes.look()
	if eyes.blind {
		t.Fatal("the folder is back, and not watched")
	}
	document := filepath.Join(folder, "settings.local.json")
	check(t, os.WriteFile(document, nil, 0o600))
	for await(t, eyes.events, "a change is not seen").Name != document {
	}
}

func await[T any](t *testing.T, from <-chan T, otherwise string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal(otherwise)
		panic("unreachable")
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
