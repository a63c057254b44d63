package supervisor

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gowarren/warren/internal/node"
)

func open(t *testing.T, dir string, fresh bool) *data {
	t.Helper()
	d, err := openData(dir, fresh)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestSocketsOfKilledProcessesAreRemoved(t *testing.T) {
	dir, err := os.MkdirTemp("", "") // short, for a socket's name
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Mkdir(filepath.Join(dir, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	socket := func(name string) (string, *net.UnixListener) {
		path := filepath.Join(dir, "run", name)
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false) // as kill -9 leaves it
		t.Cleanup(func() { l.Close() })
		return path, l
	}
	dead, listener := socket("catalog-1.sock")
	listener.Close()
	alive, _ := socket("by-hand.sock")
	d := open(t, dir, false)
	defer d.close()
	if _, err := os.Stat(dead); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket that nobody answers on is still there: %v", err)
	}
	if _, err := os.Stat(alive); err != nil {
		t.Errorf("the socket of a process that lives is gone: %v", err)
	}
}

func TestOneSupervisorHoldsTheDataFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first := open(t, dir, false)
	if got := mode(t, dir); got != 0o700 {
		t.Errorf("the folder is %o", got)
	}
	for _, fresh := range []bool{false, true} { // the second must not empty the first one's folder either
		if _, err := openData(dir, fresh); err == nil || !strings.Contains(err.Error(), "another system runs in it") || !strings.Contains(err.Error(), "warren down") {
			t.Errorf("fresh %v: got %v", fresh, err)
		}
	}
	if _, err := os.Stat(first.path("run")); err != nil {
		t.Error(err)
	}
	ended, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := WaitGone(ended, dir); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("wait for the end of a system that runs: %v", err)
	}
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
	if err := WaitGone(t.Context(), dir); err != nil {
		t.Error(err)
	}
	if err := open(t, dir, false).close(); err != nil {
		t.Error(err)
	}
}

func TestFreshEmptiesNoFolderOfOthers(t *testing.T) {
	dir := t.TempDir()
	thesis := filepath.Join(dir, "thesis.txt")
	if err := os.WriteFile(thesis, []byte("the only copy"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openData(dir, true); err == nil || !strings.Contains(err.Error(), "was not left by a system") {
		t.Errorf("got %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 || entries[0].Name() != "thesis.txt" {
		t.Errorf("left: %v, %v", entries, err)
	}
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "new")} { // nothing is in them
		if err := open(t, dir, true).close(); err != nil {
			t.Error(err)
		}
	}
}

func TestFreshKeepsOnlyWhatTheBuildMade(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, false)
	for _, name := range []string{"bin/catalog", "etcd/member", "catalog.db", "catalog.db-wal", "log/catalog-1.log", "snapshots/catalog.registry"} {
		if err := os.MkdirAll(filepath.Dir(d.path(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(d.path(name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.key(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.close(), open(t, dir, true).close()); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if got := strings.Join(left, " "); got != "bin lock run" {
		t.Errorf("left: %s", got)
	}
}

func TestTheKeyIsMadeOnceAndForNobodyElse(t *testing.T) {
	d := open(t, t.TempDir(), false)
	defer d.close()
	path, err := d.key()
	if err != nil {
		t.Fatal(err)
	}
	if got := mode(t, path); got != 0o600 {
		t.Errorf("the key is %o", got)
	}
	first, err := node.ReadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := d.key(); err != nil || again != path {
		t.Fatalf("again: %s, %v", again, err)
	}
	second, err := node.ReadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	token, err := first.Sign("catalog")
	if err != nil {
		t.Fatal(err)
	}
	if who, err := second.Verify(token); err != nil || who != "catalog" {
		t.Errorf("the key changed: %s, %v", who, err)
	}
}

// TestProcessesJoinASystemThatRuns shows what the published environment is
// for, and that one of a supervisor that was killed is not believed.
func TestProcessesJoinASystemThatRuns(t *testing.T) {
	d := open(t, t.TempDir(), false)
	if err := d.publish([]string{"WARREN_SYSTEM=shop", "WARREN_REGISTRY=etcd://127.0.0.1:1/shop", "WARREN_ENVIRONMENT=staging"}); err != nil {
		t.Fatal(err)
	}
	if got := mode(t, d.path("run", "env")); got != 0o600 {
		t.Errorf("the environment is %o", got)
	}
	read := func() node.Environment {
		env, err := node.ReadEnvironment([]string{"--data", d.dir, "--service", "catalog"}, func(string) string { return "" }, os.Stderr)
		if err != nil {
			t.Fatal(err)
		}
		return env
	}
	if env := read(); env.Registry != "" {
		t.Errorf("nobody answers, and still: %s", env.Registry)
	}
	l, err := net.Listen("unix", node.ControlSocket(d.dir))
	if err != nil {
		t.Fatal(err)
	}
	if env := read(); env.Registry != "etcd://127.0.0.1:1/shop" || env.System != "shop" || env.Environment != "staging" || env.Service != "catalog" {
		t.Errorf("joined: %+v", env)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(d.path("run", "env")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the environment stays behind: %v", err)
	}
}

func TestDialTellsApartWhyNobodyAnswers(t *testing.T) {
	dir := t.TempDir()
	if _, err := Dial(dir); err == nil || !strings.Contains(err.Error(), "no system runs in") {
		t.Errorf("nothing there: %v", err)
	}
	d := open(t, dir, false)
	defer d.close()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: node.ControlSocket(dir)})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false) // as one that is killed leaves it
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(dir); err == nil || !strings.Contains(err.Error(), "it was killed") {
		t.Errorf("killed: %v", err)
	}
}

func TestKeyThatCouldNotBeWrittenIsNoKey(t *testing.T) {
	d, err := openData(t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.close() })
	if err := os.Symlink("/dev/full", d.path("key.next")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.key(); err == nil {
		t.Fatal("a full disk took a key")
	}
	if err := os.Remove(d.path("key.next")); err != nil {
		t.Fatal(err)
	}
	path, err := d.key()
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || len(text) < 32 {
		t.Errorf("the key has %d bytes; %v", len(text), err)
	}
}
