package node

import (
	"context"
	"fmt"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

// checkTimeout bounds one check; a check that hangs has failed.
const checkTimeout = 2 * time.Second

// Health knows what must be there before a process is ready.
type Health struct {
	mu     sync.Mutex
	checks map[string]func(context.Context) error

	running singleflight.Group
	phase   atomic.Pointer[string] // why the process as a whole is not ready; nil: it is
}

func newHealth() *Health {
	h := &Health{checks: map[string]func(context.Context) error{}}
	h.setPhase("starting")
	return h
}

// Add adds a check that must pass before the process becomes ready.
func (h *Health) Add(name string, check func(context.Context) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks[name] = check
}

// Remove takes a check away.
func (h *Health) Remove(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.checks, name)
}

func (h *Health) setPhase(reason string) {
	if reason == "" {
		h.phase.Store(nil)
		return
	}
	h.phase.Store(&reason)
}

// Result is the outcome of one check.
type Result struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	Err  string `json:"reason,omitempty"`
}

// Check runs all checks side by side and returns their results by name, with
// the process's own phase first when it is not ready.
func (h *Health) Check(ctx context.Context) (ready bool, results []Result) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	h.mu.Lock()
	results = make([]Result, 0, len(h.checks)+1)
	outcomes := make(chan Result, len(h.checks))
	for name, check := range h.checks {
		go func() { outcomes <- h.run(ctx, name, check) }()
	}
	n := len(h.checks)
	h.mu.Unlock()

	ready = true
	for range n {
		r := <-outcomes
		ready = ready && r.OK
		results = append(results, r)
	}
	sort.Slice(results, func(i, j int) bool { return results[i].Name < results[j].Name })
	if phase := h.phase.Load(); phase != nil {
		ready = false
		results = append([]Result{{Name: "process", Err: *phase}}, results...)
	}
	return ready, results
}

// run gives one check its time. One that ignores its context is left behind,
// and not begun again before it returns: who asks meanwhile waits for the same.
func (h *Health) run(ctx context.Context, name string, check func(context.Context) error) Result {
	done := h.running.DoChan(name, func() (_ any, err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("the check panicked: %v", p)
			}
		}()
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
		defer cancel()
		return nil, check(own)
	})
	select {
	case outcome := <-done:
		if outcome.Err != nil {
			return Result{Name: name, Err: outcome.Err.Error()}
		}
		return Result{Name: name, OK: true}
	case <-ctx.Done():
		return Result{Name: name, Err: "no answer within " + checkTimeout.String()}
	}
}

// passing reports whether the checks pass, apart from the phase, and if not,
// the first reason.
func (h *Health) passing(ctx context.Context) (bool, string) {
	_, results := h.Check(ctx)
	for _, r := range results {
		if !r.OK && r.Name != "process" {
			return false, r.Name + ": " + r.Err
		}
	}
	return true, ""
}
