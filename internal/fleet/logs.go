package fleet

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Limits of the logs kept per instance.
const (
	maxLine     = 64 << 10 // a longer line is cut
	keptLines   = 1000     // in memory, for tails
	maxLogBytes = 16 << 20 // on disk, before the file is turned over once
)

// Line is one line of output of an instance.
type Line struct {
	Service  string
	Instance string
	Time     time.Time // when it was read
	Text     string
}

// Logs keep what instances print: the last lines in memory, all in files,
// and followers informed. It is safe for concurrent use.
type Logs struct {
	dir string

	mu        sync.Mutex
	recent    map[string]*recent // by instance
	followers map[chan Line]struct{}

	hand atomic.Pointer[func(Line)]
}

// recent are the last lines of an instance. Once there are enough, each takes the
// place of the oldest: who prints much has none of the others moved.
type recent struct {
	lines []Line
	next  int // where the oldest is
}

func (r *recent) add(line Line) {
	if len(r.lines) < keptLines {
		r.lines = append(r.lines, line)
		return
	}
	r.lines[r.next] = line
	r.next = (r.next + 1) % keptLines
}

// last returns the n latest lines, the oldest of them first.
func (r *recent) last(n int) []Line {
	all := slices.Concat(r.lines[r.next:], r.lines[:r.next])
	return all[max(0, len(all)-n):]
}

// NewLogs returns logs whose files are in a folder, made if it is not there.
func NewLogs(dir string) (*Logs, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create log folder: %w", err)
	}
	return &Logs{dir: dir, recent: map[string]*recent{}, followers: map[chan Line]struct{}{}}, nil
}

// Writer is where the supervisor's own output goes. Writes must not overlap.
func (b *Logs) Writer(name string) io.Writer { return b.writer(name, name).cutter() }

// Tail returns the last n lines of an instance, or of the supervisor.
func (b *Logs) Tail(name string, n int) []Line { return b.tail(name, n) }

// writer returns where an instance's output goes.
func (b *Logs) writer(service, instance string) *lineWriter {
	return &lineWriter{book: b, service: service, instance: instance}
}

// Hand gives every line from now on to somebody who keeps it, and first those
// that are remembered; nil: to nobody. It must not block.
func (b *Logs) Hand(to func(Line)) {
	if to == nil {
		b.hand.Store(nil)
		return
	}
	b.mu.Lock()
	var before []Line
	for _, r := range b.recent {
		before = append(before, r.last(keptLines)...)
	}
	b.hand.Store(&to)
	b.mu.Unlock()
	for _, line := range before {
		to(line)
	}
}

func (b *Logs) add(line Line) {
	if hand := b.remember(line); hand != nil {
		(*hand)(line)
	}
}

// remember keeps the line and tells followers, and returns who else wants it.
func (b *Logs) remember(line Line) *func(Line) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.recent[line.Instance]
	if r == nil {
		r = &recent{}
		b.recent[line.Instance] = r
	}
	r.add(line)
	for f := range b.followers {
		select {
		case f <- line:
		default: // a follower that does not read must not stop the instance
		}
	}
	return b.hand.Load()
}

// tail returns the last n lines of an instance.
func (b *Logs) tail(instance string, n int) []Line {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.recent[instance]; r != nil {
		return r.last(n)
	}
	return nil
}

// forget drops the lines kept in memory of an instance that will not return.
func (b *Logs) forget(instance string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.recent, instance)
}

// follow sends lines from now on until ctx ends. A follower that falls behind
// by more than the channel's length misses lines.
func (b *Logs) follow(ctx context.Context) <-chan Line {
	ch := make(chan Line, 1024)
	b.mu.Lock()
	b.followers[ch] = struct{}{}
	b.mu.Unlock()
	context.AfterFunc(ctx, func() {
		b.mu.Lock()
		delete(b.followers, ch)
		b.mu.Unlock()
	})
	return ch
}
