package fleet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"
)

// Times of a slot's life.
const (
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 10 * time.Second
	stableAfter  = 10 * time.Second // a process that lived so long starts with a short backoff again
	loopExits    = 5                // so many exits in a row are a crash loop, ready for a moment or not
	shownLines   = 15               // of the log of a crash loop
)

// slot keeps one replica of a service running: it starts a process, starts it
// again when it dies, and replaces it on request without a gap.
type slot struct {
	service  *service
	number   int
	replaces chan chan error
	done     chan struct{}

	mu       sync.Mutex
	process  *process
	instance string // the registry's id of the process that serves
	state    State
	restarts int
	exits    int // in a row, without a stable process between
	lastExit string
	exited   time.Time
}

func newSlot(s *service, number int) *slot {
	return &slot{service: s, number: number, replaces: make(chan chan error), done: make(chan struct{}), state: Starting}
}

// name is how people call the slot: "catalog/1".
func (s *slot) name() string { return fmt.Sprintf("%s/%d", s.service.plan.Name, s.number) }

// run keeps the slot alive until ctx ends, then stops its process gracefully.
func (s *slot) run(ctx context.Context) {
	defer close(s.done)
	out := s.service.logs.writer(s.service.plan.Name, s.name())
	defer out.close()
	for ctx.Err() == nil {
		p, id, err := s.start(out)
		if err != nil {
			s.ended(ctx, err.Error(), 0)
			continue
		}
		s.serve(ctx, p, id, out)
	}
	s.set(Stopped)
}

// serve follows one process and what replaces it, until one dies or ctx ends.
func (s *slot) serve(ctx context.Context, p *process, id string, out *lineWriter) {
	go s.markReady(ctx, p, id)
	for {
		select {
		case <-ctx.Done():
			s.set(Draining)
			p.stop(s.service.grace())
			s.service.presence.Remove(id)
			return
		case <-p.done:
			s.service.presence.Remove(id)
			s.ended(ctx, p.ending(), time.Since(p.started))
			return
		case answer := <-s.replaces:
			next, nextID, err := s.replace(ctx, p, id, out)
			if err == nil {
				p, id = next, nextID
			}
			answer <- err
		}
	}
}

// start starts a process, which is the slot's from then on.
func (s *slot) start(out *lineWriter) (*process, string, error) {
	p, id, err := s.launch(out)
	if err == nil {
		s.take(p, id, Starting)
	}
	return p, id, err
}

// launch starts a process beside that of the slot, if it has one.
func (s *slot) launch(out *lineWriter) (*process, string, error) {
	id := fmt.Sprintf("%s.%d", s.name(), s.service.generation(s.number))
	if s.service.run != "" {
		id += "-" + s.service.run
	}
	c := s.service.command(id)
	c.output = out.cutter()
	p, err := s.service.launcher.start(c)
	return p, id, err
}

func (s *slot) take(p *process, id string, state State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process, s.instance, s.state = p, id, state
}

// replace starts the next process beside the present one, and ends the present
// one only when the next is ready, so that no request meets a closed door. Until
// then the slot is what the present one is: whoever looks whether anybody serves
// is to see that somebody does, or that nobody does.
func (s *slot) replace(ctx context.Context, old *process, oldID string, out *lineWriter) (*process, string, error) {
	next, id, err := s.launch(out)
	if err != nil {
		return nil, "", err
	}
	starting, cancel := context.WithTimeout(ctx, s.service.startTimeout)
	defer cancel()
	if err := s.waitReady(starting, next, id); err != nil {
		next.stop(s.service.grace())
		s.service.presence.Remove(id)
		return nil, "", fmt.Errorf("replace %s: the new process was not ready within %s (%s); the old one goes on serving",
			s.name(), s.service.startTimeout, next.ending())
	}
	s.tellReady(next)
	s.take(next, id, Ready)
	old.stop(s.service.grace())
	s.service.presence.Remove(oldID)
	return next, id, nil
}

func (s *slot) markReady(ctx context.Context, p *process, id string) {
	if s.waitReady(ctx, p, id) == nil {
		s.becameReady(p)
	}
}

// waitReady waits for the registry to know the process as ready; it gives up
// when the process or ctx ends.
func (s *slot) waitReady(ctx context.Context, p *process, id string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-p.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	return s.service.presence.WaitReady(ctx, id)
}

// becameReady tells that a process is ready, and then lets it be seen: who
// waits for the last one to be ready says so after each has been told.
func (s *slot) becameReady(p *process) {
	if !s.serving(p) {
		return
	}
	s.tellReady(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == p && s.state == Starting { // it may have been killed, or drain
		s.state = Ready
	}
}

func (s *slot) tellReady(p *process) {
	s.service.events(Event{Kind: EventReady, Instance: s.name(),
		Message: fmt.Sprintf("%s is ready after %.1f s", s.name(), time.Since(p.started).Seconds())})
}

// serving tells whether the process has not ended meanwhile.
func (s *slot) serving(p *process) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process == p
}

// ended records that a process is gone and waits before the next start.
func (s *slot) ended(ctx context.Context, how string, lived time.Duration) {
	if ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	if lived > stableAfter {
		s.exits = 0
	}
	s.exits++
	s.restarts++
	s.lastExit, s.exited, s.process = how, time.Now(), nil
	wait := backoff(s.exits)
	s.state = Waiting
	if s.exits >= loopExits {
		s.state = CrashLoop
	}
	exits, state := s.exits, s.state
	s.mu.Unlock()

	s.report(how, exits, state, wait)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// report tells the operator; a crash loop is told once, with its last lines.
func (s *slot) report(how string, exits int, state State, wait time.Duration) {
	e := Event{Kind: EventRestart, Instance: s.name(),
		Message: fmt.Sprintf("%s ended (%s); next start in %s", s.name(), how, wait.Round(time.Millisecond))}
	if state == CrashLoop {
		if exits != loopExits {
			return
		}
		e.Kind = EventCrashLoop
		e.Message = fmt.Sprintf("%s ended %d times in a row (%s); it is started again every %s", s.name(), exits, how, lastBackoff)
		for _, line := range s.service.logs.tail(s.name(), shownLines) {
			e.Lines = append(e.Lines, line.Text)
		}
	}
	s.service.events(e)
}

// backoff grows with the exits in a row, with jitter so that replicas which
// died together do not start together.
func backoff(exits int) time.Duration {
	d := lastBackoff
	if shift := exits - 1; shift < 7 {
		d = min(firstBackoff<<shift, lastBackoff)
	}
	return d/2 + rand.N(d/2+1)
}

func (s *slot) set(state State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = state
}

// kill sends a signal to the process that serves.
func (s *slot) kill(sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return fmt.Errorf("kill %s: no process is running", s.name())
	}
	if sig == syscall.SIGKILL {
		s.state = Waiting // who waits for it now waits for the next process
	}
	return s.process.signal(sig)
}

// restart replaces the process; it returns when the new one serves and the old
// one has ended.
func (s *slot) restart(ctx context.Context) error {
	answer := make(chan error, 1)
	select {
	case s.replaces <- answer:
	case <-ctx.Done():
		return fmt.Errorf("restart %s: %w", s.name(), ctx.Err())
	case <-s.done:
		return fmt.Errorf("restart %s: it is stopped", s.name())
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("restart %s: %w", s.name(), ctx.Err())
	}
}

// status describes the slot at this moment.
func (s *slot) status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{
		Name: s.name(), Service: s.service.plan.Name, Number: s.number, Instance: s.instance, State: s.state,
		Restarts: s.restarts, LastExit: s.lastExit, LastExitTime: s.exited,
	}
	if s.process != nil {
		st.PID, st.Started = s.process.pid, s.process.started
	}
	return st
}
