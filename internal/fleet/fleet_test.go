package fleet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain lets the test binary play the services: what a child does is named
// by its first argument.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Getenv("WARREN_PARENT_FD") != "" {
		play(os.Args[1])
	}
	if len(os.Args) > 2 && os.Args[1] == "supervise" {
		supervise(os.Args[2])
	}
	os.Exit(m.Run())
}

func play(role string) {
	if role == "stubborn" {
		signal.Ignore(syscall.SIGTERM)
	}
	fmt.Println("ready", os.Getenv("WARREN_INSTANCE"))
	switch role {
	case "parent":
		child := exec.Command(os.Args[0], "stubborn")
		child.Stdout = os.Stdout
		if err := child.Start(); err != nil {
			os.Exit(1)
		}
		fmt.Println("child", child.Process.Pid)
		play("serve")
	case "crash":
		fmt.Println("cannot open the cellar")
		os.Exit(3)
	case "serve":
		play := make(chan os.Signal, 1)
		signal.Notify(play, syscall.SIGTERM)
		<-play
	case "listen":
		playHTTP()
	case "stubborn":
		never := make(chan os.Signal, 1)
		signal.Notify(never, syscall.SIGUSR1) // a bare select would be found out as a deadlock
		<-never
	}
	os.Exit(0)
}

func playHTTP() {
	fd, _ := strconv.Atoi(os.Getenv("WARREN_LISTENER_FD"))
	l, err := net.FileListener(os.NewFile(uintptr(fd), "listener"))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	var open sync.WaitGroup
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, os.Getenv("WARREN_INSTANCE"))
	}), ConnState: func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Done()
		}
	}}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	served := make(chan struct{})
	go func() {
		srv.Serve(l)
		close(served)
	}()
	<-stop
	l.Close()
	<-served
	// Shutdown would drop the requests of connections that were just accepted.
	srv.SetKeepAlivesEnabled(false)
	open.Wait()
}

// supervise runs a fleet of one that prints its child's pid, for a test that
// kills the supervisor.
func supervise(data string) {
	f, err := New(context.Background(), Plan{Data: data, Services: []ServicePlan{{
		Name: "victim", Program: os.Args[0], Args: []string{"serve"}, Replicas: 1,
	}}}, Options{Presence: newPresence(), Events: func(Event) {}})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	f.Start(nil)
	for f.Status()[0].PID == 0 {
		newPresence().Changed(context.Background())
	}
	fmt.Println("pid", f.Status()[0].PID)
	select {}
}

// presence stands for the registry: an instance is ready when its log says so,
// which the test tells it.
type presence struct {
	mu      sync.Mutex
	never   map[string]bool
	removed []string
}

func newPresence() *presence { return &presence{never: map[string]bool{}} }

func (p *presence) WaitReady(ctx context.Context, instance string) error {
	p.mu.Lock()
	never := p.never[instance]
	p.mu.Unlock()
	if never {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (p *presence) Changed(ctx context.Context) error {
	timer := time.NewTimer(5 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *presence) Remove(instance string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.removed = append(p.removed, instance)
}

type fixture struct {
	*Fleet
	presence *presence
	events   chan Event
}

func start(t *testing.T, plans ...ServicePlan) *fixture {
	t.Helper()
	for i := range plans {
		plans[i].Program = os.Args[0]
	}
	fx := &fixture{presence: newPresence(), events: make(chan Event, 100)}
	f, err := New(t.Context(), Plan{Data: t.TempDir(), Services: plans, Grace: func(string) time.Duration { return 30 * time.Second }, Start: 30 * time.Second}, Options{
		Presence: fx.presence,
		Events:   func(e Event) { fx.events <- e },
	})
	if err != nil {
		t.Fatal(err)
	}
	fx.Fleet = f
	t.Cleanup(func() { goleak.VerifyNone(t) })
	t.Cleanup(f.Stop)
	f.Start(nil)
	return fx
}

// until waits for a condition on the status of the first replica.
func (fx *fixture) until(t *testing.T, what string, cond func(Status) bool) Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		var st Status
		if all := fx.Status(); len(all) > 0 { // one that is being taken away is not there for a moment
			st = all[0]
		}
		if cond(st) {
			return st
		}
		if err := fx.presence.Changed(ctx); err != nil {
			t.Fatalf("waited for %s; the replica is %+v", what, st)
		}
	}
}

// Whoever waits for all to be ready has been told of each when the wait ends.
func TestReadinessIsToldBeforeItIsSeen(t *testing.T) {
	told := make(chan State, 10)
	var f *Fleet
	f, err := New(t.Context(), Plan{Data: t.TempDir(), Services: []ServicePlan{
		{Name: "catalog", Program: os.Args[0], Args: []string{"serve"}, Replicas: 1},
	}}, Options{Presence: newPresence(), Events: func(e Event) {
		if e.Kind == EventReady {
			told <- f.Status()[0].State
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Stop)
	f.Start(nil)
	if err := f.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case state := <-told:
		if state != Starting {
			t.Errorf("the replica was %s when it was told, want still starting", state)
		}
	default:
		t.Error("the wait ended before the replica was told to be ready")
	}
}

func TestReplicasBecomeReadyAndDrain(t *testing.T) {
	fx := start(t, ServicePlan{Name: "catalog", Args: []string{"serve"}, Replicas: 3})
	if err := fx.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(fx.Status()); got != 3 {
		t.Fatalf("replicas: got %d, want 3", got)
	}
	fx.Stop()
	if got := len(fx.Status()); got != 0 {
		t.Errorf("replicas after stop: got %d, want none", got)
	}
}

func TestKilledReplicaComesBack(t *testing.T) {
	fx := start(t, ServicePlan{Name: "catalog", Args: []string{"serve"}, Replicas: 1})
	first := fx.until(t, "a process", func(s Status) bool { return s.PID != 0 && s.State == Ready })
	if err := fx.Kill("catalog/1", syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	second := fx.until(t, "another process", func(s Status) bool { return s.PID != 0 && s.PID != first.PID && s.State == Ready })
	if second.Restarts != 1 || second.LastExit != "killed by SIGKILL" || second.Instance == first.Instance {
		t.Errorf("after the kill: %+v", second)
	}
	for _, want := range []EventKind{EventReady, EventRestart, EventReady} {
		if e := <-fx.events; e.Kind != want || e.Instance != "catalog/1" {
			t.Errorf("event: %+v, want %s of catalog/1", e, want)
		}
	}
}

// Each process is ready for a moment: that makes the loop no better.
func TestCrashLoopIsReportedWithItsLastLines(t *testing.T) {
	fx := start(t, ServicePlan{Name: "cellar", Args: []string{"crash"}, Replicas: 1})
	for {
		select {
		case e := <-fx.events:
			if e.Kind != EventCrashLoop {
				continue
			}
			if !strings.Contains(strings.Join(e.Lines, "\n"), "cannot open the cellar") {
				t.Errorf("lines: %q", e.Lines)
			}
			if st := fx.Status()[0]; st.State != CrashLoop || st.LastExit != "exit 3" {
				t.Errorf("status: %+v", st)
			}
			return
		case <-time.After(60 * time.Second):
			t.Fatal("no crash loop was reported")
		}
	}
}

func TestRestartHandsTheListenerOverWithoutAGap(t *testing.T) {
	fx := start(t, ServicePlan{Name: "edge", Args: []string{"listen"}, Replicas: 1, Listen: "127.0.0.1:0"})
	l, err := net.FileListener(fx.services[0].listener)
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	seen := map[string]bool{}
	get := func() {
		resp, err := client.Get("http://" + address)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		seen[string(body)] = true
	}
	for range 3 {
		get()
		restarted := make(chan error, 1)
		go func() { restarted <- fx.Restart(t.Context(), "edge") }()
		for done := false; !done; {
			get()
			select {
			case err := <-restarted:
				if err != nil {
					t.Fatal(err)
				}
				done = true
			default:
			}
		}
	}
	get()
	if len(seen) < 3 {
		t.Errorf("answers came from %v, want several generations", seen)
	}
}

func TestRestartKeepsTheOldProcessWhenTheNewOneIsNotReady(t *testing.T) {
	fx := start(t, ServicePlan{Name: "catalog", Args: []string{"serve"}, Replicas: 1})
	before := fx.until(t, "ready", func(s Status) bool { return s.State == Ready && s.PID != 0 })
	fx.presence.mu.Lock()
	fx.presence.never["catalog/1.2"] = true
	fx.presence.mu.Unlock()
	fx.services[0].startTimeout = 50 * time.Millisecond
	err := fx.Restart(t.Context(), "catalog")
	if err == nil || !strings.Contains(err.Error(), "the old one goes on serving") {
		t.Fatalf("restart: got %v", err)
	}
	if after := fx.Status()[0]; after.PID != before.PID || after.State != Ready {
		t.Errorf("after: %+v, want %+v", after, before)
	}
}

// While the next process starts, the replica is the one that serves: it must not
// count as missing because it is replaced.
func TestReplicaIsReadyWhileItIsReplaced(t *testing.T) {
	fx := start(t, ServicePlan{Name: "catalog", Args: []string{"serve"}, Replicas: 1})
	before := fx.until(t, "ready", func(s Status) bool { return s.State == Ready && s.PID != 0 })
	fx.presence.mu.Lock()
	fx.presence.never["catalog/1.2"] = true
	fx.presence.mu.Unlock()
	restarted := make(chan error, 1)
	go func() { restarted <- fx.Restart(t.Context(), "catalog") }()
	during := fx.until(t, "the next process", func(Status) bool { return len(fx.logs.tail("catalog/1", 2)) == 2 })
	if during.State != Ready || during.PID != before.PID || during.Instance != before.Instance {
		t.Errorf("while it is replaced: %+v, want %+v", during, before)
	}
	fx.Stop()
	if err := <-restarted; err == nil {
		t.Error("what is stopped was replaced")
	}
}

// A replica that was not ready is not, because its next process was not either.
func TestRestartMakesNothingReady(t *testing.T) {
	fx := start(t, ServicePlan{Name: "catalog", Args: []string{"serve"}})
	fx.presence.mu.Lock()
	fx.presence.never["catalog/1.1"], fx.presence.never["catalog/1.2"] = true, true
	fx.presence.mu.Unlock()
	if err := fx.Scale("catalog", 1); err != nil {
		t.Fatal(err)
	}
	before := fx.until(t, "a process", func(s Status) bool { return s.PID != 0 })
	fx.services[0].startTimeout = 50 * time.Millisecond
	if err := fx.Restart(t.Context(), "catalog"); err == nil {
		t.Fatal("a process that is not ready took over")
	}
	if after := fx.Status()[0]; after.PID != before.PID || after.State != Starting {
		t.Errorf("after: %+v, want %+v", after, before)
	}
}

func TestStubbornProcessIsKilledAfterGrace(t *testing.T) {
	fx := start(t, ServicePlan{Name: "stubborn", Args: []string{"stubborn"}, Replicas: 1})
	st := fx.until(t, "its first line", func(s Status) bool { return s.PID != 0 && len(fx.logs.tail("stubborn/1", 1)) == 1 })
	fx.services[0].grace = func() time.Duration { return 50 * time.Millisecond }
	if err := fx.Scale("stubborn", 0); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(st.PID, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d: %v, want it gone", st.PID, err)
	}
}

func TestChildrenDieWithAKilledSupervisor(t *testing.T) {
	cmd := exec.Command(os.Args[0], "supervise", t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "pid ")))
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	deadline, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for alive(pid) {
		if newPresence().Changed(deadline) != nil {
			t.Fatalf("process %d outlived its supervisor", pid)
		}
	}
}

// What a process started ends with it: nothing that nobody knows of is left behind.
func TestNobodyIsLeftBehind(t *testing.T) {
	fx := start(t, ServicePlan{Name: "wrapper", Args: []string{"parent"}, Replicas: 1})
	pid := 0
	fx.until(t, "the child of the process", func(Status) bool {
		for _, line := range fx.logs.tail("wrapper/1", 10) {
			if text, ok := strings.CutPrefix(line.Text, "child "); ok {
				pid, _ = strconv.Atoi(text)
			}
		}
		return pid > 0
	})
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	fx.Stop()
	deadline, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for alive(pid) {
		if fx.presence.Changed(deadline) != nil {
			t.Fatalf("process %d is left behind", pid)
		}
	}
}

// alive tells whether the process runs; one that nobody has waited for yet
// runs no longer.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func TestMistakesAreNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	broken := t.TempDir()
	for name, content := range map[string]string{"go.mod": "module broken\n\ngo 1.26\n", "main.go": "package main\n\nfunc main() { undefined() }\n"} {
		if err := os.WriteFile(filepath.Join(broken, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]struct {
		plan ServicePlan
		want string
	}{
		"port in use":       {ServicePlan{Name: "gateway", Program: os.Args[0], Listen: l.Addr().String()}, "the port is in use"},
		"does not compile":  {ServicePlan{Name: "broken", Package: "."}, "undefined: undefined"},
		"package not there": {ServicePlan{Name: "gone", Package: "./gone"}, "build service gone (./gone)"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := New(t.Context(), Plan{Data: t.TempDir(), Root: broken, Services: []ServicePlan{tt.plan}},
				Options{Presence: newPresence(), Events: func(Event) {}})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
