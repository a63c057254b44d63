package archive

import (
	"sync"

	"github.com/gowarren/warren/internal/signals/segment"
	"github.com/gowarren/warren/internal/signals/topology"
)

// item is what came at once.
type item struct {
	chunks []*segment.Chunk
	lines  []*segment.Line
	calls  []topology.Span
	spans  int64
	bytes  int64
}

// queue holds what waits to be written.
type queue struct {
	wake chan struct{}

	mu     sync.Mutex
	items  []item
	bytes  int64
	rows   int
	closed bool
}

// full says whether there is room for nothing more.
func (q *queue) full(most int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed || q.bytes >= most
}

// soon is how many rows are written at once, without waiting for more.
const soon = 2000

func (q *queue) add(i item) bool {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return false
	}
	q.items = append(q.items, i)
	q.bytes += i.bytes
	q.rows += len(i.chunks) + len(i.lines)
	many := q.rows >= soon
	q.mu.Unlock()
	if many {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// take returns a batch of what waits; more says that this was not all. What
// is taken counts until it is done.
func (q *queue) take() (batch []item, bytes int64, more bool) {
	const most = 4 * soon
	q.mu.Lock()
	defer q.mu.Unlock()
	rows, n := 0, 0
	for n < len(q.items) && rows < most {
		rows += len(q.items[n].chunks) + len(q.items[n].lines)
		bytes += q.items[n].bytes
		n++
	}
	batch = q.items[:n:n]
	q.items = q.items[n:]
	if len(q.items) == 0 {
		q.items = nil
	}
	q.rows -= rows
	return batch, bytes, q.rows > 0
}

func (q *queue) done(bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytes -= bytes
}

func (q *queue) size() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}
