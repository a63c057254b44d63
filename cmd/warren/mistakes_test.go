package main

import (
	"errors"
	"io"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

const oneService = "system: shop\n\nservices:\n  greeting: {path: ./greeting}\n"

// TestUpNamesTheMistake shows that what is wrong is told before anything runs.
func TestUpNamesTheMistake(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	tests := map[string]struct {
		file, code string
		args       []string
		want       []string
	}{
		"a typo": {
			file: "system: shop\n\nservices:\n  greeting: {path: ./greeting, replcas: 2}\n",
			want: []string{"warren.yaml:4:32: services.greeting.replcas: unknown field; did you mean replicas?"},
		},
		"two mistakes": {
			file: "sytem: shop\nservices:\n  greeting: {path: ./greeting, replicas: many}\n",
			want: []string{"warren.yaml:1:1: sytem: unknown field; did you mean system?", `warren.yaml:3:42: services.greeting.replicas: is "many"`},
		},
		"not YAML":               {file: "system: [shop\n", want: []string{"warren.yaml:1:", "not YAML"}},
		"unknown environment":    {file: oneService + "environments: {production: {}}\n", args: []string{"--environment", "prodcution"}, want: []string{`there is no environment "prodcution"`, "did you mean production?"}},
		"service without a path": {file: "system: shop\nservices:\n  greeting: {}\n", want: []string{"has neither path nor program; add path: ./greeting"}},
		"port in use": {
			file: oneService, code: "package main\n\nfunc main() {}\n", args: []string{"--gateway", taken.Addr().String()},
			want: []string{"listen for gateway on " + taken.Addr().String(), "the port is in use; stop what uses it or choose another port by --gateway or in warren.yaml"},
		},
		"code that does not compile": {
			file: oneService, code: "package main\n\nfunc main() { undefined() }\n",
			want: []string{"build service greeting (./greeting)", "greeting/main.go:3:15: undefined: undefined"},
		},
		"code that is not there": {file: oneService, want: []string{"warren.yaml:4:3: services.greeting.path: there is no folder ./greeting", "warren new service"}},
		"a typo in a path": {
			file: "system: shop\n\nservices:\n  greeting: {path: ./greetnig}\n", code: "package main\n\nfunc main() {}\n",
			want: []string{"warren.yaml:4:3: services.greeting.path: there is no folder ./greetnig; did you mean ./greeting?"},
		},
		"data folder too deep": {
			file: oneService, args: []string{"--data", "/tmp/" + strings.Repeat("deep/", 30)},
			want: []string{"its name is too long for the sockets in it; give a shorter one with --data"},
		},
		"data folder that is a file": {file: oneService, args: []string{"--data", "/dev/null"}, want: []string{"open data folder"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorkshop(t)
			w.write("warren.yaml", tt.file)
			if tt.code != "" {
				w.write("greeting/main.go", tt.code)
			}
			r := w.warren(append([]string{"up", "--gateway", "127.0.0.1:0"}, tt.args...)...)
			if r.status != 1 || r.out != "" {
				t.Errorf("status %d, out %q", r.status, r.out)
			}
			contains(t, r.err, tt.want...)
		})
	}
}

// TestUpShowsACrashLoopAndGoesOn shows what a service that cannot start looks
// like: the rest works, and the reason is printed.
func TestUpShowsACrashLoopAndGoesOn(t *testing.T) {
	w := newWorkshop(t)
	w.write("warren.yaml", oneService)
	w.write("greeting/main.go", "package main\n\nimport \"os\"\n\nfunc main() {\n\tprintln(\"cannot open the cellar\")\n\tos.Exit(3)\n}\n")
	u := w.begin("--timeout", "2s", "--logs")
	eventually(t, "the crash loop is told", func() bool {
		return strings.Contains(u.printed(t), "greeting/1 ended 5 times in a row (exit 3)")
	})
	eventually(t, "what is not ready is told", func() bool { return strings.Contains(u.printed(t), "not everything is ready: ") })
	contains(t, u.printed(t), "    cannot open the cellar", "warren logs")
	contains(t, w.must("ps"), "greeting/1  crash_loop", "(exit 3)")
	contains(t, w.must("logs", "greeting"), "cannot open the cellar")
	r := w.warren("wait", "greeting", "--timeout", "100ms")
	if r.status != 1 || !strings.Contains(r.err, "not ready: greeting/1 (crash loop); warren logs greeting tells why") {
		t.Errorf("wait: %+v", r)
	}
	w.must("down")
	text, err := io.ReadAll(u.stdout)
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(text), "greeting/1 | cannot open the cellar")
	if err := u.wait(); err != nil {
		t.Error(err)
	}
}

// TestDownStopsWhatIsNotReady shows that nobody has to wait for a system that does
// not become ready before it can be stopped.
func TestDownStopsWhatIsNotReady(t *testing.T) {
	w := newWorkshop(t)
	w.write("warren.yaml", oneService)
	w.write("greeting/main.go", "package main\n\nimport \"os\"\n\nfunc main() {\n\tos.Exit(3)\n}\n")
	u := w.begin("--timeout", "1h")
	eventually(t, "the service ends", func() bool { return strings.Contains(u.printed(t), "greeting/1 ended (exit 3)") })
	eventually(t, "it can be asked", func() bool { return w.warren("ps").status == 0 })
	w.must("down")
	if err := u.wait(); err != nil {
		t.Error(err)
	}
	if text := u.printed(t); strings.Contains(text, "not everything is ready") {
		t.Errorf("it tells what nobody waits for:\n%s", text)
	}
}

// TestSecondCtrlCStopsHard shows that a service that does not want to end
// keeps nobody waiting.
func TestSecondCtrlCStopsHard(t *testing.T) {
	w := newWorkshop(t)
	w.write("warren.yaml", oneService)
	w.write("greeting/main.go", `package main

import (
	"os/signal"
	"syscall"
	"time"
)

func main() {
	signal.Ignore(syscall.SIGTERM)
	println("never ready")
	<-time.After(time.Hour)
}
`)
	u := w.begin("--timeout", "1ms")
	eventually(t, "the service runs", func() bool {
		return strings.Contains(w.warren("logs", "greeting").out, "never ready")
	})
	pid := w.instances("greeting")[0].GetPid()
	if err := u.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it drains", func() bool { return strings.Contains(u.printed(t), "draining; press Ctrl-C again to stop hard") })
	contains(t, w.must("ps"), "draining") // and can be watched
	err := u.end(syscall.SIGINT)
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != interrupted {
		t.Errorf("ended with %v", err)
	}
	contains(t, u.printed(t), "stopped hard")
	eventually(t, "the service is gone too", func() bool { return !alive(pid) })
}
