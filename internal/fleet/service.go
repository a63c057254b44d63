package fleet

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// service is a set of slots that run the same program.
type service struct {
	plan         ServicePlan
	program      string
	run          string
	environment  []string
	listener     *os.File // for a service that listens on a fixed address
	launcher     *launcher
	logs         *Logs
	presence     Presence
	events       func(Event)
	grace        func() time.Duration
	startTimeout time.Duration

	mu      sync.Mutex
	slots   []*slot
	leaving []*slot // taken away, and still draining
	cancels map[*slot]context.CancelFunc
	started map[int]int // processes, by the number of their slot
}

// generation numbers the processes of a slot. No number comes twice, also where
// a slot that was taken away still drains while one of its name begins: the
// registry and the sockets know processes by it.
func (s *service) generation(slot int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started[slot]++
	return s.started[slot]
}

// command builds what a new process of the service runs.
func (s *service) command(id string) command {
	env := append(os.Environ(), s.environment...)
	env = append(env, "WARREN_SERVICE="+s.plan.Name, "WARREN_INSTANCE="+id)
	return command{path: s.program, args: s.plan.Args, env: append(env, s.plan.Env...), dir: s.plan.Dir, listener: s.listener}
}

// scale starts or stops slots until there are n; it does not wait for them to
// be ready, but for those stopped to have ended.
func (s *service) scale(ctx context.Context, n int) {
	s.mu.Lock()
	var stopped []*slot
	for len(s.slots) < n {
		s.add(ctx)
	}
	for len(s.slots) > n {
		last := s.slots[len(s.slots)-1]
		s.slots = s.slots[:len(s.slots)-1]
		s.cancels[last]()
		delete(s.cancels, last)
		stopped = append(stopped, last)
	}
	s.leaving = append(s.leaving, stopped...)
	s.mu.Unlock()
	for _, sl := range stopped {
		<-sl.done
		s.left(sl)
	}
}

func (s *service) left(gone *slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaving = slices.DeleteFunc(s.leaving, func(sl *slot) bool { return sl == gone })
	if !slices.ContainsFunc(s.slots, func(sl *slot) bool { return sl.number == gone.number }) {
		s.logs.forget(gone.name())
	}
}

func (s *service) add(ctx context.Context) {
	sl := newSlot(s, len(s.slots)+1)
	ctx, cancel := context.WithCancel(ctx)
	s.cancels[sl] = cancel
	s.slots = append(s.slots, sl)
	go sl.run(ctx)
}

// all returns the slots that stay.
func (s *service) all() []*slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.slots)
}

// shown returns the slots that stay and those that drain.
func (s *service) shown() []*slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Concat(s.slots, s.leaving)
}

// restart replaces every process, one after the other, and stops at the first
// that cannot be replaced: then the rest keeps serving as it was.
func (s *service) restart(ctx context.Context) error {
	for _, sl := range s.all() {
		if err := sl.restart(ctx); err != nil {
			return err
		}
	}
	return nil
}

// waitReady returns when all slots are ready.
func (s *service) waitReady(ctx context.Context) error {
	for {
		var waiting []string
		for _, sl := range s.all() {
			if st := sl.status(); st.State != Ready {
				waiting = append(waiting, fmt.Sprintf("%s (%s)", sl.name(), st.State))
			}
		}
		if len(waiting) == 0 {
			return nil
		}
		if err := s.presence.Changed(ctx); err != nil {
			return fmt.Errorf("wait for %s: not ready: %s; warren logs %s tells why: %w", s.plan.Name, strings.Join(waiting, ", "), s.plan.Name, err)
		}
	}
}
