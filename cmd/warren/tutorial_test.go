package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write what the commands of the tutorial print into it")

// TestTutorial types the tutorial in a copy of the repository and compares
// what it prints. What differs from run to run (numbers, ids) may differ.
func TestTutorial(t *testing.T) {
	const file = "../../docs/tutorial.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := newTypist(t)
	var out strings.Builder
	for _, part := range parts(string(text)) {
		out.WriteString(s.play(part))
	}
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// part is a stretch of the tutorial: prose, or a block between fences.
type part struct {
	language string // empty: prose
	text     string
	file     string // that the block is the content of
}

var becomes = regexp.MustCompile("`([^`]+)` becomes:\n\n$")

func parts(text string) []part {
	var out []part
	var prose, block strings.Builder
	language := ""
	for line := range strings.Lines(text) {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && language == "":
			p := part{language: strings.TrimSpace(fence)}
			if m := becomes.FindStringSubmatch(prose.String()); m != nil {
				p.file = m[1]
			}
			out = append(out, part{text: prose.String()}, p)
			prose.Reset()
			language = p.language
		case isFence:
			out[len(out)-1].text = block.String()
			block.Reset()
			language = ""
		case language != "":
			block.WriteString(line)
		default:
			prose.WriteString(line)
		}
	}
	return append(out, part{text: prose.String()})
}

// typist types commands into a shell that stands in a copy of the repository.
type typist struct {
	t       *testing.T
	dir     string
	port    string // in place of 8080, which may be in use
	watch   string // the console's port in place of 7070
	in      io.Writer
	out     *bufio.Reader
	command *exec.Cmd
}

func newTypist(t *testing.T) *typist {
	t.Helper()
	for name, value := range map[string]string{"GOFLAGS": "-buildvcs=auto", "GOPROXY": "off", "CGO_ENABLED": "0", "GOWORK": "off"} {
		t.Setenv(name, value)
	}
	s := &typist{t: t, dir: clone(t), port: freePort(t), watch: freePort(t)}
	yaml := filepath.Join(s.dir, "warren.yaml")
	text, err := os.ReadFile(yaml)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(yaml, []byte(strings.Replace(string(text), ":8080", ":"+s.port, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	gitIn(t, s.dir, "commit", "-qam", "another port")
	s.command = exec.Command("bash", "--norc")
	s.command.Dir = s.dir
	if s.in, err = s.command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.command.Stdout, s.command.Stderr, s.out = write, write, bufio.NewReader(read)
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.command.Process.Kill()
		_ = s.command.Wait()
		_, _ = write.Close(), read.Close()
	})
	return s
}

// clone copies what git would commit now into a repository of its own.
func clone(t *testing.T) string {
	t.Helper()
	list, err := exec.Command("git", "-C", "../..", "ls-files", "-z", "-co", "--exclude-standard").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name := range strings.SplitSeq(strings.TrimRight(string(list), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join("../..", name))
		if os.IsNotExist(err) {
			continue // removed and not committed yet
		}
		if err == nil {
			err = os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	gitIn(t, dir, "init", "-q")
	gitIn(t, dir, "add", "-A")
	gitIn(t, dir, "commit", "-qm", "a clone")
	return dir
}

func gitIn(t *testing.T, dir string, args ...string) {
	t.Helper()
	args = append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)
	if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// play does what a part says and returns the part with what came out.
func (s *typist) play(p part) string {
	s.t.Helper()
	switch {
	case p.language == "":
		return p.text
	case p.file != "":
		if err := os.WriteFile(filepath.Join(s.dir, p.file), []byte(p.text), 0o644); err != nil {
			s.t.Fatal(err)
		}
	case p.language == "console":
		p.text = s.console(p.text)
	}
	return "```" + p.language + "\n" + p.text + "```\n"
}

// console types the lines that begin with a dollar sign.
func (s *typist) console(text string) string {
	s.t.Helper()
	var out, want strings.Builder
	command := ""
	finish := func() {
		if command == "" {
			return
		}
		got := s.run(command)
		s.compare(command, got, want.String())
		out.WriteString("$ " + command + "\n" + got)
		want.Reset()
	}
	for line := range strings.Lines(text) {
		if next, ok := strings.CutPrefix(line, "$ "); ok {
			finish()
			command = strings.TrimSpace(next)
			continue
		}
		want.WriteString(line)
	}
	finish()
	return out.String()
}

func (s *typist) run(command string) string {
	s.t.Helper()
	switch command {
	case "git clone https://github.com/gowarren/warren", "cd warren":
		return "" // the copy is this clone
	case "warren up":
		return s.up()
	}
	return s.typed(command)
}

// typed runs a command in the shell. What it prints ends with a mark, and
// with a line of its own, as a terminal would show it.
func (s *typist) typed(command string) string {
	s.t.Helper()
	const mark = "--- that was all ---"
	if _, err := fmt.Fprintf(s.in, "%s\necho; echo '%s'\n", strings.ReplaceAll(command, "8080", s.port), mark); err != nil {
		s.t.Fatal(err)
	}
	var out strings.Builder
	for {
		line, err := s.out.ReadString('\n')
		if err != nil {
			s.t.Fatalf("%s: %v\n%s", command, err, out.String())
		}
		if strings.TrimSpace(line) == mark {
			break
		}
		out.WriteString(line)
	}
	text := strings.TrimRight(out.String(), "\n")
	if text != "" {
		text += "\n"
	}
	return s.restored(text)
}

// up runs the system beside the shell until the tutorial ends it.
func (s *typist) up() string {
	s.t.Helper()
	var out follower
	// Another system of this machine may have the ports that nobody chose, and says so.
	cmd := exec.Command(filepath.Join(s.dir, "bin", "warren"), "up", "--console", "127.0.0.1:"+s.watch, "--admin", "127.0.0.1:0")
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, &out, &out
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	s.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := <-ended; err != nil {
			s.t.Errorf("warren up: %v\n%s", err, out.text.String())
		}
	})
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Minute)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for !out.has("Ctrl-C drains and stops it.") {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			s.t.Fatalf("warren up:\n%s", out.text.String())
		}
	}
	out.mu.Lock()
	defer out.mu.Unlock()
	return s.restored(out.text.String())
}

// restored has the ports of the tutorial again, in columns as wide as before.
func (s *typist) restored(text string) string {
	padding := strings.Repeat(" ", len(s.port)-len("8080"))
	text = strings.ReplaceAll(text, s.port+" ", "8080 "+padding)
	return strings.NewReplacer(s.port, "8080", s.watch, "7070").Replace(text)
}

func (s *typist) compare(command, got, want string) {
	s.t.Helper()
	if *update {
		return
	}
	g, w := constantPart(got), constantPart(want)
	if command == "warren up" { // services are built and started side by side
		slices.Sort(g)
		slices.Sort(w)
	}
	if !slices.Equal(g, w) {
		s.t.Errorf("$ %s\n%s\nthe tutorial says (go test -run Tutorial -update writes what is):\n%s", command, strings.Join(g, "\n"), strings.Join(w, "\n"))
	}
}

var varying = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`[0-9a-f]{12,}|[0-9a-z]{20,}`), "#"},  // ids, revisions
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`), "#"},    // times
	{regexp.MustCompile(`\d+([.:]\d+)*`), "#"},                // numbers, addresses
	{regexp.MustCompile(`(#[hm])+#s`), "#s"},                  // ages
	{regexp.MustCompile(`\bdevel\b`), "#"},                    // the version of a build without git
	{regexp.MustCompile(`[ \t]+`), " "},                       // columns
	{regexp.MustCompile(`(curl/#|client=#|author=\S+)`), "#"}, // who asks
}

// telling numbers are spelled in letters, so that they are compared.
var telling = regexp.MustCompile(`(?m)"status":\d+|status=\d+|^\d{3}$|revision \d+|(?:^| )[a-z]+/\d+\b`)

// constantPart is the text without what differs from run to run.
func constantPart(text string) []string {
	text = telling.ReplaceAllStringFunc(text, func(s string) string {
		return strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return 'A' + r - '0'
			}
			return r
		}, s)
	})
	for _, v := range varying {
		text = v.what.ReplaceAllString(text, v.by)
	}
	var lines []string
	scan := bufio.NewScanner(bytes.NewReader([]byte(text)))
	for scan.Scan() {
		lines = append(lines, strings.TrimSpace(scan.Text()))
	}
	return lines
}
