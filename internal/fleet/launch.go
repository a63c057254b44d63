package fleet

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// command is what to start: a program with its arguments and environment.
type command struct {
	path     string
	args     []string
	env      []string
	dir      string
	listener *os.File // handed down as file 4, so that the socket outlives the process
	output   *cutter
}

// process is one started program.
type process struct {
	pid     int
	started time.Time
	cmd     *exec.Cmd
	done    chan struct{} // closed when the program has ended
	err     error         // how it ended; read after done
}

// launcher starts processes that die with the supervisor.
//
// The kernel's parent-death signal is bound to the thread that forked, so all
// processes are started from one locked thread that lives as long as the
// launcher. Where there is no such signal, each process watches the read end
// of a pipe (file 3) and ends itself when the supervisor's end closes.
type launcher struct {
	requests chan func()
	stopped  chan struct{}
	alive    *os.File // read end, inherited by every child
	keep     *os.File // write end, closed by our death
	once     sync.Once
}

func newLauncher() (*launcher, error) {
	alive, keep, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("open life line pipe: %w", err)
	}
	l := &launcher{requests: make(chan func()), stopped: make(chan struct{}), alive: alive, keep: keep}
	go l.loop()
	return l, nil
}

func (l *launcher) loop() {
	runtime.LockOSThread() // never unlocked: the thread must not be used, nor end, otherwise
	for {
		select {
		case f := <-l.requests:
			f()
		case <-l.stopped:
			return
		}
	}
}

// close ends the launcher; call it when all processes have ended.
func (l *launcher) close() {
	l.once.Do(func() {
		close(l.stopped)
		_ = l.keep.Close()
		_ = l.alive.Close()
	})
}

func (l *launcher) start(c command) (*process, error) {
	cmd := exec.Command(c.path, c.args...) //nolint:noctx // it ends by stop, which drains it, or with the supervisor
	cmd.Dir = c.dir
	cmd.Env = append(c.env, "WARREN_PARENT_FD=3")
	cmd.Stdout, cmd.Stderr = c.output, c.output
	cmd.ExtraFiles = []*os.File{l.alive}
	if c.listener != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, c.listener)
		cmd.Env = append(cmd.Env, "WARREN_LISTENER_FD="+strconv.Itoa(4))
	}
	cmd.SysProcAttr = dieWithParent()
	// A grandchild that holds the output open must not keep Wait from returning.
	cmd.WaitDelay = time.Second

	failed := make(chan error, 1)
	select {
	case l.requests <- func() { failed <- cmd.Start() }:
	case <-l.stopped:
		return nil, errors.New("start process: the supervisor is stopping")
	}
	if err := <-failed; err != nil {
		return nil, fmt.Errorf("start %s: %w", c.path, err)
	}
	p := &process{pid: cmd.Process.Pid, started: time.Now(), cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		// What it started and left behind would hold its ports and files for ever.
		_ = syscall.Kill(-p.pid, syscall.SIGKILL)
		c.output.flush() // nobody writes any more
		close(p.done)
	}()
	return p, nil
}

// signal sends a signal; a process that has ended is no error.
func (p *process) signal(s syscall.Signal) error {
	err := p.cmd.Process.Signal(s)
	if err == nil || errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return fmt.Errorf("signal process %d: %w", p.pid, err)
}

// stop asks the process to end and ends it by force after grace.
func (p *process) stop(grace time.Duration) {
	_ = p.signal(syscall.SIGTERM)
	_ = p.signal(syscall.SIGCONT) // one that is stopped would not hear
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		_ = p.signal(syscall.SIGKILL)
		<-p.done
	}
}

// ending says in words how the process ended.
func (p *process) ending() string {
	if p.err == nil {
		return "exit 0"
	}
	var exit *exec.ExitError
	if errors.As(p.err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return "killed by " + unix.SignalName(status.Signal())
		}
		return "exit " + strconv.Itoa(exit.ExitCode())
	}
	return p.err.Error()
}
