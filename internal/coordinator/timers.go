package coordinator

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// timers wake transactions. Each has at most one entry: its earliest.
type timers struct {
	mu     sync.Mutex
	heap   timerHeap
	sooner chan struct{}
}

type timer struct {
	at    time.Time
	wake  func()
	index int // -1: not in the heap
}

func newTimers() *timers { return &timers{sooner: make(chan struct{}, 1)} }

// set moves the entry.
func (s *timers) set(t *timer, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.at = at
	if t.index < 0 {
		heap.Push(&s.heap, t)
	} else {
		heap.Fix(&s.heap, t.index)
	}
	if t.index == 0 {
		signal(s.sooner)
	}
}

func (s *timers) clear(t *timer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.index >= 0 {
		heap.Remove(&s.heap, t.index)
	}
}

func (s *timers) run(ctx context.Context) {
	clock := time.NewTimer(time.Hour)
	defer clock.Stop()
	for {
		due, pause := s.due(time.Now())
		for _, t := range due {
			t.wake()
		}
		if len(due) > 0 {
			continue
		}
		clock.Reset(pause)
		select {
		case <-clock.C:
		case <-s.sooner:
		case <-ctx.Done():
			return
		}
	}
}

// due takes out what is due, or says how long it is until something is.
func (s *timers) due(now time.Time) ([]*timer, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []*timer
	for len(s.heap) > 0 && !s.heap[0].at.After(now) {
		if t, ok := heap.Pop(&s.heap).(*timer); ok {
			due = append(due, t)
		}
	}
	if len(s.heap) == 0 {
		return due, time.Hour
	}
	return due, s.heap[0].at.Sub(now)
}

type timerHeap []*timer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timerHeap) Push(x any) {
	if t, ok := x.(*timer); ok {
		t.index = len(*h)
		*h = append(*h, t)
	}
}

func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.index = -1
	return t
}
