package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// stage is what all contestants stand on: their programs, a folder, and the
// collector that their traces go to.
type stage struct {
	dir      string
	match    string
	only     string
	profiles string
	traces   *collector
	keys     *issuer
	others   []float64 // share of the machine that strangers used, per measurement
	running  []*process

	postgres *postgres
	folders  []string  // beside its own
	crews    int       // so far
	idle     []float64 // share of the machine in use between the rounds of transactions
}

// programs are built afresh, so that what is measured is what is in the tree.
var programs = []struct{ name, dir, path, parts string }{
	{"plain", ".", "./plain", "hop rest"},
	{"kratos", ".", "./kratos", "hop rest"},
	{"gozero", ".", "./gozero", "hop rest"},
	{"warren-service", ".", "./warren", "hop rest"},
	{"load", ".", "./load", "rest signals"},
	{"signals", ".", "./signals", "signals"},
	{"txnwarren", ".", "./txnwarren", "txn sagas hung recovery"},
	{"txndtm", ".", "./txndtm", "txn sagas hung recovery"},
	{"dtm", "dtm", "github.com/dtm-labs/dtm", "txn sagas hung recovery"}, // of a module of its own: with the libraries it was released with
	{"warren", "..", "./cmd/warren", "rest txn sagas hung recovery checkout"},
}

func open(ctx context.Context, only string) (_ *stage, err error) {
	// Names of unix sockets are short: the system's own folder is, too.
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	s := &stage{dir: dir}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.traces, err = openCollector(); err != nil {
		return nil, err
	}
	if s.keys, err = openIssuer(); err != nil {
		return nil, err
	}
	for _, p := range programs {
		if !strings.Contains(p.parts, only) {
			continue
		}
		fmt.Fprintf(os.Stderr, "building %s\n", p.name)
		build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, p.name), p.path)
		build.Dir = p.dir
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s: %w\n%s", p.name, err, out)
		}
	}
	return s, nil
}

func (s *stage) close() {
	s.stop()
	if s.traces != nil {
		s.traces.close()
	}
	if s.keys != nil {
		s.keys.close()
	}
	for _, dir := range append(s.folders, s.dir) {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintf(os.Stderr, "bench: clean up: %v\n", err)
		}
	}
}

func (s *stage) stop() {
	for _, p := range slices.Backward(s.running) { // a database after those who use it
		p.stop()
	}
	s.running = nil
}

// process is one running program of a contestant.
type process struct {
	name   string
	probe  string // host:port of its metrics
	cmd    *exec.Cmd
	end    os.Signal // with which it is asked to end; nil: none
	stderr *tail
	in     io.WriteCloser
	pipe   io.Closer
	out    *json.Decoder // of what it writes to its first inherited file
}

// start runs a program of the stage. Its standard output, where access logs
// go, ends in /dev/null.
func (s *stage) start(name string, probe string, args ...string) (*process, error) {
	cmd := exec.Command(filepath.Join(s.dir, name), args...)
	cmd.Dir = s.dir
	return s.launch(name, probe, cmd)
}

func (s *stage) launch(name, probe string, cmd *exec.Cmd) (*process, error) {
	p := &process{name: name, probe: probe, cmd: cmd, stderr: &tail{}}
	cmd.Stderr = p.stderr
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	results, inherited, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer inherited.Close()
	p.cmd.ExtraFiles = []*os.File{inherited}
	p.pipe, p.out = results, json.NewDecoder(results)
	tie(cmd)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	s.running = append(s.running, p)
	return p, nil
}

func (p *process) stop() {
	_ = p.in.Close()
	if p.end != nil {
		late := time.AfterFunc(20*time.Second, func() { _ = p.cmd.Process.Kill() })
		defer late.Stop()
		_ = p.cmd.Process.Signal(p.end)
	} else {
		_ = p.cmd.Process.Kill() // nothing that it holds is worth a farewell
	}
	_ = p.cmd.Wait()
	_ = p.pipe.Close()
}

// ask has the process do something that it reports on. One that takes far too
// long is ended.
func (p *process) ask(order, answer any, patience time.Duration) error {
	late := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	if err := json.NewEncoder(p.in).Encode(order); err != nil {
		return fmt.Errorf("order from %s: %w: %s", p.name, err, p.stderr.text)
	}
	if err := p.out.Decode(answer); err != nil {
		return fmt.Errorf("read the answer of %s: %w: %s", p.name, err, p.stderr.text)
	}
	return nil
}

// tail keeps the last words of a process.
type tail struct{ text []byte }

func (t *tail) Write(b []byte) (int, error) {
	const most = 4 << 10
	t.text = append(t.text, b...)
	t.text = t.text[max(0, len(t.text)-most):]
	return len(b), nil
}

// freeAddress finds an address for a process that is about to start.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// listening waits until somebody listens at the address.
func listening(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// get fetches a document, again and again until it is there.
func get(ctx context.Context, url, token string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		body, err := getOnce(ctx, url, token)
		if err == nil {
			return body, nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, err
		}
	}
}

func getOnce(ctx context.Context, url, token string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("get %s: %s: %s", url, resp.Status, body)
	}
	return body, err
}
