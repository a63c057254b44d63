package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
)

// playing makes the test binary the command itself: so the command under test
// is the supervisor and the gateway too, and is linked once.
const playing = "WARREN_TEST_PLAYS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(playing) != "" {
		main()
	}
	os.Exit(m.Run())
}

// workshop is a Go module of a user, with what the commands print about it.
type workshop struct {
	t   *testing.T
	dir string
}

// newWorkshop makes a module that uses this repository's Warren and needs
// nothing that is not on this machine.
func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	for name, value := range map[string]string{
		"GOFLAGS": "-mod=mod -buildvcs=false", "GOPROXY": "off", "GOWORK": "off", "CGO_ENABLED": "0",
		"GIT_CONFIG_GLOBAL": os.DevNull, "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com",
		"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.com",
	} {
		t.Setenv(name, value)
	}
	repo, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	w := &workshop{t: t, dir: t.TempDir()}
	mod, err := os.ReadFile(filepath.Join(repo, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile(filepath.Join(repo, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(mod), "module github.com/gowarren/warren\n", "module example.com/myshop\n", 1)
	w.write("go.mod", text+"\nrequire github.com/gowarren/warren v0.0.0\n\nreplace github.com/gowarren/warren => "+repo+"\n")
	w.write("go.sum", string(sum))
	return w
}

func (w *workshop) path(name string) string { return filepath.Join(w.dir, filepath.FromSlash(name)) }

func (w *workshop) write(name, text string) {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Dir(w.path(name)), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(w.path(name), []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

func (w *workshop) read(name string) string {
	w.t.Helper()
	text, err := os.ReadFile(w.path(name))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// edit replaces text that must be there.
func (w *workshop) edit(name, from, to string) {
	w.t.Helper()
	text := w.read(name)
	if !strings.Contains(text, from) {
		w.t.Fatalf("%s has no %q:\n%s", name, from, text)
	}
	w.write(name, strings.Replace(text, from, to, 1))
}

func (w *workshop) git(args ...string) {
	w.t.Helper()
	if out, err := exec.Command("git", append([]string{"-C", w.dir}, args...)...).CombinedOutput(); err != nil {
		w.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

// result is what a command printed and how it ended.
type result struct {
	out, err string
	status   int
}

// warren runs a command in this process, as a user beside the system file.
func (w *workshop) warren(args ...string) result {
	return execute(w.t.Context(), nil, append([]string{"--file", w.path("warren.yaml")}, args...)...)
}

// must is warren for commands that have to work.
func (w *workshop) must(args ...string) string {
	w.t.Helper()
	r := w.warren(args...)
	if r.status != 0 || r.err != "" {
		w.t.Fatalf("warren %s: status %d\n%s%s", strings.Join(args, " "), r.status, r.out, r.err)
	}
	return r.out
}

// refused is warren for commands whose error, on standard error, says want.
func (w *workshop) refused(want string, args ...string) {
	w.t.Helper()
	r := w.warren(args...)
	if r.status != 1 || !strings.HasPrefix(r.err, "warren: ") || !strings.Contains(r.err, want) {
		w.t.Errorf("warren %s: status %d, want an error with %q\n%s%s", strings.Join(args, " "), r.status, want, r.out, r.err)
	}
}

func execute(ctx context.Context, in []byte, args ...string) result {
	var out, errs bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(bytes.NewReader(in))
	root.SetOut(&out)
	root.SetErr(&errs)
	status := run(ctx, root)
	return result{out.String(), errs.String(), status}
}

// decode reads the JSON that a command printed.
func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("read JSON: %v\n%s", err, text)
	}
	return v
}

// upped is a system that `warren up` brought up, in processes of its own.
type upped struct {
	*fleetv1.ListResponse
	cmd    *exec.Cmd
	stdout io.Reader
	stderr *os.File
	waited sync.Once
	err    error
}

// up starts the system and returns when it is ready.
func (w *workshop) up(args ...string) *upped {
	w.t.Helper()
	u := w.begin(args...)
	var raw json.RawMessage
	if err := json.NewDecoder(u.stdout).Decode(&raw); err != nil {
		w.t.Fatalf("up: %v, %v\n%s", err, u.end(syscall.SIGTERM), u.printed(w.t))
	}
	u.ListResponse = list(w.t, string(raw))
	return u
}

// begin starts the system and does not wait for it.
func (w *workshop) begin(args ...string) *upped {
	w.t.Helper()
	log, err := os.CreateTemp(w.t.TempDir(), "up")
	if err != nil {
		w.t.Fatal(err)
	}
	u := &upped{stderr: log}
	u.cmd = exec.Command(os.Args[0], append([]string{"up", "--json", "--file", w.path("warren.yaml"), "--gateway", "127.0.0.1:0", "--console", "127.0.0.1:0", "--admin", "127.0.0.1:0"}, args...)...)
	u.cmd.Env = append(os.Environ(), playing+"=1")
	u.cmd.Stderr = log
	if u.stdout, err = u.cmd.StdoutPipe(); err != nil {
		w.t.Fatal(err)
	}
	if err := u.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { u.end(syscall.SIGTERM) })
	return u
}

// end sends a signal and returns how the process ended.
func (u *upped) end(sig syscall.Signal) error {
	_ = u.cmd.Process.Signal(sig)
	return u.wait()
}

func (u *upped) wait() error {
	u.waited.Do(func() { u.err = u.cmd.Wait() })
	return u.err
}

// printed is what up told the operator.
func (u *upped) printed(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(u.stderr.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// list reads what ps and up print as JSON.
func list(t *testing.T, text string) *fleetv1.ListResponse {
	t.Helper()
	resp := &fleetv1.ListResponse{}
	if err := protojson.Unmarshal([]byte(text), resp); err != nil {
		t.Fatalf("read the list: %v\n%s", err, text)
	}
	return resp
}

// instances lists what runs of a service.
func (w *workshop) instances(service string) []*fleetv1.Instance {
	w.t.Helper()
	return list(w.t, w.must("ps", "--json", service)).GetInstances()
}

// eventually looks until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	const patience, pause = time.Minute, 20 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// alive tells whether the process runs; one that nobody has waited for yet
// runs no longer.
func alive(pid int64) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}
