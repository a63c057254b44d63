// Package fleet runs the processes of a system: it builds the services,
// starts them, starts them again when they die, replaces them without a gap,
// and lets none outlive it.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Plan says what a fleet runs. It is complete: nothing else is looked up.
type Plan struct {
	Data     string        // folder of binaries, logs and the control socket
	Root     string        // the Go module in which services are built
	Run      string        // tells the processes of this run from those of others in the registry
	Services []ServicePlan // in the order in which they are shown
	Start    time.Duration // to become ready; default 60 s
	// Grace is how long a process of a service has to drain and end before it
	// is killed; asked each time. Default 45 s.
	Grace func(service string) time.Duration
}

// ServicePlan says what one service runs.
type ServicePlan struct {
	Name     string
	Package  string // the Go package to build, below Root; or
	Program  string // the binary to run as it is
	Args     []string
	Dir      string
	Env      []string // added to the fleet's
	Replicas int
	Listen   string // address that the fleet holds open for the service, e.g. the gateway's
}

// Presence tells what the registry knows of an instance. Its methods may be
// called concurrently.
type Presence interface {
	WaitReady(ctx context.Context, instance string) error // until the instance is ready
	Changed(ctx context.Context) error                    // until anything changed, or a moment passed
	Remove(instance string)                               // the instance is known to be gone
}

// State is where a replica is in its life.
type State string

// The states of a replica.
const (
	Starting  State = "starting"
	Ready     State = "ready"
	Draining  State = "draining"
	Waiting   State = "waiting"    // ended; started again after a pause
	CrashLoop State = "crash loop" // ends again and again
	Stopped   State = "stopped"
)

// Status describes one replica.
type Status struct {
	Name     string // "catalog/1"
	Service  string
	Number   int
	Instance string // the registry's id of the process that serves
	State    State
	PID      int // 0: no process
	Started  time.Time
	Restarts int

	LastExit     string // how the process before ended; empty if there was none
	LastExitTime time.Time
}

// EventKind tells events apart.
type EventKind string

// The kinds of events.
const (
	EventBuilding  EventKind = "building"
	EventBuilt     EventKind = "built"
	EventReady     EventKind = "ready"
	EventRestart   EventKind = "restart"
	EventCrashLoop EventKind = "crash loop"
)

// Event is something that the operator wants to know.
type Event struct {
	Kind     EventKind
	Instance string
	Message  string
	Lines    []string // of the log, where they explain the event
}

// Fleet is a running set of services. It is safe for concurrent use.
type Fleet struct {
	plan     Plan
	launcher *launcher
	logs     *Logs
	events   func(Event)
	building sync.Mutex // one build at a time while the fleet runs
	services []*service
	ctx      context.Context // ends when the fleet stops
	cancel   context.CancelFunc
	stopOnce sync.Once
}

// Options are what a fleet needs from its surroundings.
type Options struct {
	Presence Presence
	Events   func(Event) // called from many goroutines, must not block
	Logs     *Logs       // nil: in the plan's data folder
}

// New builds the services of the plan and opens the addresses that the fleet
// holds for them. Nothing is started yet.
func New(ctx context.Context, plan Plan, opts Options) (*Fleet, error) {
	if plan.Grace == nil {
		plan.Grace = func(string) time.Duration { return 45 * time.Second }
	}
	if plan.Start == 0 {
		plan.Start = 60 * time.Second
	}
	logs := opts.Logs
	if logs == nil {
		var err error
		if logs, err = NewLogs(filepath.Join(plan.Data, "log")); err != nil {
			return nil, err
		}
	}
	listeners, err := listenAll(plan.Services)
	if err != nil {
		return nil, err
	}
	programs, err := build(ctx, plan, opts.Events)
	if err != nil {
		closeAll(listeners)
		return nil, err
	}
	launcher, err := newLauncher()
	if err != nil {
		closeAll(listeners)
		return nil, err
	}
	f := &Fleet{plan: plan, launcher: launcher, logs: logs, events: opts.Events}
	f.ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for i, sp := range plan.Services {
		f.services = append(f.services, &service{
			plan: sp, program: programs[i], listener: listeners[i],
			launcher: launcher, logs: logs, presence: opts.Presence, events: opts.Events,
			run: plan.Run, grace: func() time.Duration { return plan.Grace(sp.Name) }, startTimeout: plan.Start,
			cancels: map[*slot]context.CancelFunc{}, started: map[int]int{},
		})
	}
	return f, nil
}

// Start starts every replica, with variables that all processes get. It does
// not wait for them.
func (f *Fleet) Start(environment []string) {
	for _, s := range f.services {
		s.environment = environment
		s.scale(f.ctx, s.plan.Replicas)
	}
}

// Wait returns when every replica of the services named, or of all, is ready,
// or with what is not when ctx ends.
func (f *Fleet) Wait(ctx context.Context, names ...string) error {
	if len(names) == 0 {
		names = f.Names()
	}
	var errs []error
	for _, name := range names {
		s, err := f.service(name)
		if err == nil {
			err = s.waitReady(ctx)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Names lists the services.
func (f *Fleet) Names() []string {
	var names []string
	for _, s := range f.services {
		names = append(names, s.plan.Name)
	}
	return names
}

// Named tells whether an instance is named as fleets name their processes:
// one of this fleet, of an earlier run, or of another machine.
func Named(instance string) bool { return processName.MatchString(instance) }

var processName = regexp.MustCompile(`^[a-z0-9-]+/[0-9]+\.[0-9]+(-[a-z0-9]+)?$`)

// Address is where the fleet listens for a service, empty if it does not.
func (f *Fleet) Address(name string) string {
	s, err := f.service(name)
	if err != nil || s.listener == nil {
		return ""
	}
	return s.listener.Name()
}

// Status lists the replicas.
func (f *Fleet) Status() []Status {
	var out []Status
	for _, s := range f.services {
		for _, sl := range s.shown() {
			out = append(out, sl.status())
		}
	}
	return out
}

// Restart builds a service anew and replaces its processes one by one, without
// a gap. Code that does not compile changes nothing.
func (f *Fleet) Restart(ctx context.Context, name string) error {
	s, err := f.service(name)
	if err != nil {
		return err
	}
	if err := f.rebuild(ctx, s); err != nil {
		return err
	}
	return s.restart(ctx)
}

func (f *Fleet) rebuild(ctx context.Context, s *service) error {
	if s.plan.Package == "" {
		return nil
	}
	f.building.Lock()
	defer f.building.Unlock()
	return rebuild(ctx, f.plan.Root, s.plan, s.program, f.events)
}

// Scale sets the number of replicas. Those taken away have drained when it
// returns; those added may still be starting.
func (f *Fleet) Scale(name string, replicas int) error {
	s, err := f.service(name)
	if err != nil {
		return err
	}
	if replicas < 0 || replicas > maxReplicas {
		return fmt.Errorf("scale %s to %d: want 0 to %d replicas", name, replicas, maxReplicas)
	}
	if s.listener != nil && replicas > 1 {
		return fmt.Errorf("scale %s to %d: it listens on a fixed address and runs once", name, replicas)
	}
	s.scale(f.ctx, replicas)
	return nil
}

// maxReplicas bounds a typing mistake, not a machine.
const maxReplicas = 200

// Kill sends a signal to the process of a replica, named as in Status.
func (f *Fleet) Kill(name string, sig syscall.Signal) error {
	for _, s := range f.services {
		for _, sl := range s.shown() {
			if sl.name() == name {
				return sl.kill(sig)
			}
		}
	}
	return fmt.Errorf("kill %s: no such replica; ps lists them", name)
}

// Tail returns the last n lines of each replica of the service, or of all.
func (f *Fleet) Tail(name string, n int) ([]Line, error) {
	var lines []Line
	for _, s := range f.services {
		for _, sl := range s.shown() {
			if name == "" || name == s.plan.Name || name == sl.name() {
				lines = append(lines, f.logs.tail(sl.name(), n)...)
			}
		}
	}
	if lines == nil && name != "" {
		if _, err := f.service(name); err != nil && !f.hasReplica(name) {
			return nil, err
		}
	}
	return lines, nil
}

func (f *Fleet) hasReplica(name string) bool {
	return slices.ContainsFunc(f.Status(), func(s Status) bool { return s.Name == name })
}

// Follow sends every line from now on until ctx ends.
func (f *Fleet) Follow(ctx context.Context) <-chan Line { return f.logs.follow(ctx) }

// Stop drains everything: services in reverse order, so that who calls goes
// before who is called. It returns when all processes have ended.
func (f *Fleet) Stop() {
	f.stopOnce.Do(func() {
		for _, s := range slices.Backward(f.services) {
			s.scale(f.ctx, 0)
		}
		f.cancel()
		f.launcher.close()
		for _, s := range f.services {
			if s.listener != nil {
				_ = s.listener.Close()
			}
		}
	})
}

func (f *Fleet) service(name string) (*service, error) {
	for _, s := range f.services {
		if s.plan.Name == name {
			return s, nil
		}
	}
	return nil, fmt.Errorf("no service %q; there are %s", name, strings.Join(f.Names(), ", "))
}

// listenAll opens the fixed addresses, so that a port in use is known before
// anything is built or started.
func listenAll(services []ServicePlan) ([]*os.File, error) {
	files := make([]*os.File, len(services))
	for i, s := range services {
		if s.Listen == "" {
			continue
		}
		f, err := listen(s.Name, s.Listen)
		if err != nil {
			closeAll(files)
			return nil, err
		}
		files[i] = f
	}
	return files, nil
}

func listen(name, address string) (*os.File, error) {
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen for %s on %s: the port is in use; stop what uses it or choose another port by --%s or in warren.yaml",
			name, address, name)
	}
	if err != nil {
		return nil, fmt.Errorf("listen for %s on %s: %w", name, address, err)
	}
	defer l.Close()
	f, err := inheritable(l)
	if err != nil {
		return nil, fmt.Errorf("listen for %s on %s: %w", name, address, err)
	}
	return f, nil
}

// inheritable returns the socket as a file for children. Whether a socket
// blocks is a property of the open socket, which all processes share, and
// os/exec makes a file blocking that it knows as non-blocking: then a process
// that lost the race for a connection would hang in accept. So the file is
// made to believe that it blocks.
func inheritable(l net.Listener) (*os.File, error) {
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return nil, errors.New("want a TCP address")
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	var failed error
	err = raw.Control(func(s uintptr) {
		if fd, failed = syscall.Dup(int(s)); failed == nil {
			syscall.CloseOnExec(fd)
			failed = syscall.SetNonblock(fd, false)
		}
	})
	if err := errors.Join(err, failed); err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), l.Addr().String())
	return f, syscall.SetNonblock(fd, true)
}

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close()
		}
	}
}
