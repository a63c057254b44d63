package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
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

// warren is the command, built once for all tests, and programs the folder where
// the first test's shop puts its services, for all others to find.
var warren, programs string

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	if dir := os.Getenv(brokerVariable); dir != "" {
		return beBroker(dir, os.Args[1])
	}
	dir, err := os.MkdirTemp("", "warren-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	warren, programs = filepath.Join(dir, "warren"), filepath.Join(dir, "bin")
	if err := os.Mkdir(programs, 0o700); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	build := exec.Command("go", "build", "-o", warren, "../../cmd/warren")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the command: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// system is a running shop.
type system struct {
	t    *testing.T
	cmd  *exec.Cmd
	file string
	data string
	args []string
	url  string // of the gateway
	info *fleetv1.ListResponse
	log  *output
	once sync.Once
	// broker is a process of its own; nil: it is in the supervisor.
	broker *broker
}

// output collects what a process prints while it runs.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// up starts the shop of the repository in a folder of its own.
func up(t *testing.T, args ...string) *system {
	t.Helper()
	return upWith(t, t.TempDir(), "../../warren.yaml", args...)
}

func upWith(t *testing.T, data, file string, args ...string) *system {
	t.Helper()
	s := &system{t: t, data: data, file: file, args: args, log: &output{}}
	if err := os.Symlink(programs, filepath.Join(data, "bin")); err != nil && !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.down()
		if t.Failed() {
			t.Logf("the supervisor said:\n%s", s.log)
			logs, _ := filepath.Glob(filepath.Join(data, "log", "*.log"))
			for _, name := range logs {
				t.Logf("%s said:\n%s", filepath.Base(name), lastLines(name, 15))
			}
		}
	})
	s.start()
	return s
}

// start starts the shop, for the first time or once more.
func (s *system) start() {
	s.t.Helper()
	args := append([]string{"up", "--json", "--file", s.file, "--data", s.data, "--gateway", "127.0.0.1:0"}, s.args...)
	s.cmd = exec.Command(warren, args...)
	s.cmd.Stderr = s.log
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	var raw json.RawMessage
	if err := json.NewDecoder(stdout).Decode(&raw); err != nil {
		s.t.Fatalf("the shop did not come up: %v\n%s", err, s.log)
	}
	go io.Copy(io.Discard, stdout)
	s.info = &fleetv1.ListResponse{}
	if err := protojson.Unmarshal(raw, s.info); err != nil {
		s.t.Fatal(err)
	}
	s.url = "http://" + s.info.GetSystem().GetGateway()
}

// cut kills the supervisor with -9, and with it every process and the engines
// inside it, and the broker; then it starts the shop again where it was, before the
// broker is back.
func (s *system) cut() {
	s.t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		s.t.Fatal(err)
	}
	if s.broker != nil {
		s.broker.kill()
		defer s.broker.start()
	}
	_ = s.cmd.Wait() // it says that it was killed
	until(s.t, 20*time.Second, "the gateway to be dead, too", func() bool {
		l, err := net.Listen("tcp", s.info.GetSystem().GetGateway())
		if err == nil {
			l.Close()
		}
		return err == nil
	})
	s.start()
}

// down stops the shop as Ctrl-C does, and wants it to have ended well.
func (s *system) down() {
	s.once.Do(func() {
		if s.cmd == nil || s.cmd.Process == nil {
			return // it never began
		}
		_ = s.cmd.Process.Signal(syscall.SIGINT)
		done := make(chan error, 1)
		go func() { done <- s.cmd.Wait() }()
		select {
		case err := <-done:
			if err != nil && !errors.Is(err, os.ErrProcessDone) {
				s.t.Errorf("the shop ended badly: %v\n%s", err, s.log)
			}
		case <-time.After(90 * time.Second):
			_ = s.cmd.Process.Kill()
			s.t.Errorf("the shop did not end\n%s", s.log)
		}
	})
}

// ctl runs a command against the shop and returns what it printed.
func (s *system) ctl(args ...string) (string, error) {
	args = append([]string{"--file", s.file, "--data", s.data}, args...)
	cmd := exec.Command(warren, args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("warren %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

func (s *system) must(args ...string) string {
	s.t.Helper()
	out, err := s.ctl(args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// list asks the supervisor what runs.
func (s *system) list() *fleetv1.ListResponse {
	s.t.Helper()
	resp := &fleetv1.ListResponse{}
	if err := protojson.Unmarshal([]byte(s.must("ps", "--json")), resp); err != nil {
		s.t.Fatal(err)
	}
	return resp
}

// answer is what the gateway said.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(a.body), &out); err != nil {
		t.Fatalf("answer is no JSON object: %v\n%s", err, a.body)
	}
	return out
}

// call sends a request through the gateway.
func (s *system) call(method, path, token, body string) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

// until polls a condition; what is awaited is named when it does not come.
func until(t *testing.T, patience time.Duration, what string, cond func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !cond() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("waited %s for %s", patience, what)
		}
	}
	return time.Since(began)
}

func lastLines(path string, n int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// variant writes a changed copy of the shop's system file beside it, where its
// paths hold, and removes it after the test.
func variant(t *testing.T, change func(string) string) string {
	t.Helper()
	text, err := os.ReadFile("../../warren.yaml")
	if err != nil {
		t.Fatal(err)
	}
	changed := change(string(text))
	if changed == string(text) {
		t.Fatal("the variant of the system file is no variant")
	}
	f, err := os.CreateTemp("../..", ".variant-*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(f.Name()) })
	if _, err := f.WriteString(changed); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}
