package archive

import (
	"sync"

	"github.com/gowarren/warren/internal/signals/segment"
)

// tails are those who follow what is written.
type tails struct {
	mu     sync.Mutex
	all    map[*Tail]struct{}
	closed bool
}

// tailLines is by how many lines who follows may be behind.
const tailLines = 4096

// Tail follows what is written.
type Tail struct {
	// Lines are closed when the archive is.
	Lines chan *segment.Line

	mu     sync.Mutex
	missed int64
}

// Missed is how many lines there was no room for since the last call.
func (t *Tail) Missed() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.missed
	t.missed = 0
	return n
}

// Follow sends all lines from now on, until unfollow is called.
func (a *Archive) Follow() (t *Tail, unfollow func()) {
	t = &Tail{Lines: make(chan *segment.Line, tailLines)}
	a.tails.mu.Lock()
	defer a.tails.mu.Unlock()
	if a.tails.closed {
		close(t.Lines)
		return t, func() {}
	}
	if a.tails.all == nil {
		a.tails.all = map[*Tail]struct{}{}
	}
	a.tails.all[t] = struct{}{}
	return t, func() {
		a.tails.mu.Lock()
		defer a.tails.mu.Unlock()
		delete(a.tails.all, t)
	}
}

func (t *tails) send(lines []*segment.Line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for tail := range t.all {
		for _, l := range lines {
			select {
			case tail.Lines <- l:
			default: // who reads slowly must not stop the others
				tail.mu.Lock()
				tail.missed++
				tail.mu.Unlock()
			}
		}
	}
}

func (t *tails) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for tail := range t.all {
		close(tail.Lines)
	}
	t.all = nil
}
