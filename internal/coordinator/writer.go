package coordinator

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gowarren/warren/store"
)

// write is one step of one transaction, to be made durable.
type write struct {
	gid      string
	epoch    int64
	create   bool
	row      *row // nil: unchanged
	branches []branchRow
	attempts []attemptRow
	actions  []actionRow
	claim    *claim // locks to take
	unlock   bool   // the transaction has ended: its locks are free

	failures int
	verdict  verdict
	done     func(verdict)
}

// verdict is what became of a write.
type verdict struct {
	err     error
	digest  string // of the transaction that is there, of a create that came too late
	granted bool   // the locks
	doomed  bool   // waiting for the locks would be for ever
	holder  string
}

var (
	// errFenced: another coordinator has taken the transaction over.
	errFenced = errors.New("another coordinator has the transaction")
	// errExists: the gid is taken.
	errExists = errors.New("the transaction is there already")
	// errLocked: the transaction was not begun, as it did not want to wait.
	errLocked = errors.New("a lock is held")
	errStore  = errors.New("the coordinator's database is away")
)

// writer makes writes durable, many at once.
type writer struct {
	engine *Engine

	mu     sync.Mutex
	queue  []*write
	wake   chan struct{}
	closed bool
	done   chan struct{}
}

func newWriter(e *Engine) *writer {
	return &writer{engine: e, wake: make(chan struct{}, 1), done: make(chan struct{})}
}

// add never waits: those who add hold locks.
func (w *writer) add(item *write) {
	w.mu.Lock()
	w.queue = append(w.queue, item)
	w.mu.Unlock()
	signal(w.wake)
}

// close ends the writer after what waits is written.
func (w *writer) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	signal(w.wake)
	<-w.done
}

func (w *writer) run(ctx context.Context) {
	defer close(w.done)
	for {
		batch, closed := w.next(w.engine.limits.batch.Get())
		if len(batch) > 0 {
			w.flush(ctx, batch)
			continue
		}
		if closed {
			return
		}
		<-w.wake
	}
}

// next takes what waits. A gid is created at most once in a batch.
func (w *writer) next(most int) (batch []*write, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	creates := map[string]bool{}
	var rest []*write
	for i, item := range w.queue {
		if len(batch) == most {
			rest = append(rest, w.queue[i:]...)
			break
		}
		if item.create {
			if creates[item.gid] {
				rest = append(rest, item)
				continue
			}
			creates[item.gid] = true
		}
		batch = append(batch, item)
	}
	w.queue = rest
	return batch, w.closed
}

// flush writes the batch, or each of it alone when something in it is at fault.
func (w *writer) flush(ctx context.Context, batch []*write) {
	began := time.Now()
	err := w.engine.commit(ctx, batch)
	switch {
	case err == nil:
		w.engine.metrics.commit(began, len(batch))
		w.engine.storeWorks()
		for _, item := range batch {
			item.done(item.verdict)
		}
	case len(batch) > 1 && !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrBusy):
		for _, item := range batch {
			w.flush(ctx, []*write{item})
		}
	default:
		w.failed(ctx, batch, err)
	}
}

// failed tells those who asked for something new, and tries the rest again for
// as long as it takes: what a participant answered is not forgotten because
// the database is away. Every write says how things are, so it does no harm twice.
func (w *writer) failed(ctx context.Context, batch []*write, err error) {
	w.engine.storeFailed(err)
	for _, item := range batch {
		if item.create || ctx.Err() != nil {
			item.done(verdict{err: errors.Join(errStore, err)})
			continue
		}
		item.failures++
		pause := jitter(20*time.Millisecond, time.Second, item.failures)
		time.AfterFunc(pause, func() { w.again(item) })
	}
}

func (w *writer) again(item *write) {
	w.mu.Lock()
	closed := w.closed
	w.mu.Unlock()
	if closed {
		item.done(verdict{err: errStore})
		return
	}
	w.add(item)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
