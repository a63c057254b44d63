package fileconfig_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/config/driver"
	"github.com/gowarren/warren/config/fileconfig"
)

func TestOpenSaysWhatIsWrong(t *testing.T) {
	for raw, want := range map[string]string{
		"file://settings.json":         "three slashes",
		"file:///":                     "names no file",
		"file:///tmp/x.json?pol=2s":    `unknown parameter "pol"`,
		"file:///tmp/x.json?history=0": "must be positive",
		"file:///dev/null/x.json":      "make folder for settings",
	} {
		u, err := url.Parse(raw)
		check(t, err)
		if _, err := fileconfig.Open(t.Context(), u); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%s): %v; want %q", raw, err, want)
		}
	}
}

// A process that dies between the record and the document has changed nothing.
func TestCrashBetweenRecordAndDocument(t *testing.T) {
	folder := t.TempDir()
	d := open(t, folder)
	for revision := int64(1); revision <= 3; revision++ {
		publish(t, d, revision)
	}
	crashed := filepath.Join(folder, "settings.local.history.jsonl")
	for _, left := range []string{`{"revision":4,"author":"lost"}` + "\n", `{"revision":4,"auth`} {
		file, err := os.OpenFile(crashed, os.O_APPEND|os.O_WRONLY, 0)
		check(t, err)
		_, err = file.WriteString(left)
		check(t, errors.Join(err, file.Close()))
	}
	if got := history(t, d); got != "3 2 1" {
		t.Errorf("history after the crash: %s", got)
	}
	publish(t, d, 4)
	publish(t, d, 5)
	if got := history(t, d); got != "5 4 3 2 1" {
		t.Errorf("history after the next change: %s", got)
	}
	data, err := os.ReadFile(crashed)
	check(t, err)
	if bytes.Contains(data, []byte("lost")) || bytes.Count(data, []byte("\n")) != 5 {
		t.Errorf("the history still holds what did not happen:\n%s", data)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	u, err := url.Parse("file://" + t.TempDir() + "/settings.json?history=8")
	check(t, err)
	d, err := fileconfig.Open(t.Context(), u)
	check(t, err)
	for revision := int64(1); revision <= 40; revision++ {
		publish(t, d, revision)
	}
	if n := len(strings.Fields(history(t, d))); n < 8 || n > 9 {
		t.Errorf("%d records are kept; want about 8", n)
	}
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	folder := t.TempDir()
	publish(t, open(t, folder), 1)
	entries, err := os.ReadDir(folder)
	check(t, err)
	for _, e := range entries {
		info, err := e.Info()
		check(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
	}
}

// A change is seen though the system's file watch says nothing: the poll is there.
func TestPollSeesChanges(t *testing.T) {
	folder := t.TempDir()
	u, err := url.Parse("file://" + folder + "/settings.json?poll=20ms")
	check(t, err)
	d, err := fileconfig.Open(t.Context(), u)
	check(t, err)
	delivered := make(chan int64, 8)
	go func() {
		_ = d.Watch(t.Context(), "local", func(d driver.Document) { delivered <- d.Revision })
	}()
	<-delivered
	// A link to a file elsewhere, changed there: the watched folder hears nothing.
	elsewhere := filepath.Join(t.TempDir(), "document.json")
	check(t, os.WriteFile(elsewhere, []byte(`{"revision":1}`), 0o600))
	check(t, os.Symlink(elsewhere, filepath.Join(folder, "settings.local.json")))
	expect(t, delivered, 1)
	check(t, os.WriteFile(elsewhere+".new", []byte(`{"revision":2}`), 0o600))
	check(t, os.Rename(elsewhere+".new", elsewhere))
	expect(t, delivered, 2)
}

// Several processes change one document; no change is lost.
func TestWritersInSeveralProcesses(t *testing.T) {
	const processes, each = 3, 15
	if folder := os.Getenv("FILECONFIG_TEST_FOLDER"); folder != "" {
		write(t, open(t, folder), os.Getenv("FILECONFIG_TEST_WRITER"), each)
		return
	}
	folder := t.TempDir()
	d := open(t, folder)
	centre, err := config.NewCentre(d, "local")
	check(t, err)
	check(t, centre.Define(t.Context(), "catalog", []config.Definition{size.Definition()}))
	var running []*exec.Cmd
	for p := range processes {
		command := exec.Command(os.Args[0], "-test.run=^TestWritersInSeveralProcesses$")
		command.Env = append(os.Environ(), "FILECONFIG_TEST_FOLDER="+folder, fmt.Sprintf("FILECONFIG_TEST_WRITER=w%d", p))
		command.Stdout, command.Stderr = t.Output(), t.Output()
		check(t, command.Start())
		running = append(running, command)
	}
	for _, command := range running {
		check(t, command.Wait())
	}
	revision, entries, err := centre.Get(t.Context())
	check(t, err)
	if revision != processes*each || len(entries) != processes*each {
		t.Errorf("revision %d with %d entries; want %d of both", revision, len(entries), processes*each)
	}
}

var size = config.Int("shop.size", 1, 1, 100, "")

func write(t *testing.T, d driver.Driver, writer string, changes int) {
	t.Helper()
	centre, err := config.NewCentre(d, "local")
	check(t, err)
	value := "7"
	for i := range changes {
		edit := config.Edit{Name: "shop.size", Scope: config.Scope{Service: fmt.Sprintf("%s-%d", writer, i)}, New: &value}
		_, err := centre.Set(t.Context(), []config.Edit{edit}, writer, "a race of processes")
		check(t, err)
	}
}

func publish(t *testing.T, d driver.Driver, revision int64) {
	t.Helper()
	data := fmt.Appendf(nil, `{"revision":%d}`, revision)
	check(t, d.Publish(t.Context(), "local", revision-1, data, data))
}

func history(t *testing.T, d driver.Driver) string {
	t.Helper()
	records, err := d.History(t.Context(), "local", 0)
	check(t, err)
	var out []string
	for _, r := range records {
		out = append(out, strconv.FormatInt(driver.Revision(r), 10))
	}
	return strings.Join(out, " ")
}

func expect(t *testing.T, delivered <-chan int64, want int64) {
	t.Helper()
	select {
	case got := <-delivered:
		if got != want {
			t.Fatalf("delivered revision %d; want %d", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("revision %d is not delivered", want)
	}
}
