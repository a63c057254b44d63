package txntest

import (
	"context"
	"slices"
	"sync"

	"github.com/gowarren/warren/registry/driver"
)

// instances is a registry that is a list in memory.
type instances struct {
	mu       sync.Mutex
	list     []driver.Instance
	revision int64
	changed  chan struct{}
}

func newInstances() *instances { return &instances{changed: make(chan struct{})} }

func (l *instances) change(f func([]driver.Instance) []driver.Instance) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = f(slices.Clone(l.list))
	l.revision++
	close(l.changed)
	l.changed = make(chan struct{})
}

// Put implements [driver.Driver].
func (l *instances) Put(_ context.Context, i driver.Instance) error {
	l.change(func(list []driver.Instance) []driver.Instance { return append(list, i) })
	return nil
}

// Remove implements [driver.Driver].
func (l *instances) Remove(_ context.Context, service, id string) error {
	l.change(func(list []driver.Instance) []driver.Instance {
		return slices.DeleteFunc(list, func(i driver.Instance) bool { return i.Service == service && i.ID == id })
	})
	return nil
}

// Watch implements [driver.Driver].
func (l *instances) Watch(ctx context.Context, emit func(driver.Snapshot)) error {
	for {
		l.mu.Lock()
		s, changed := driver.Snapshot{Instances: slices.Clone(l.list), Revision: l.revision}, l.changed
		l.mu.Unlock()
		emit(s)
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Lost implements [driver.Driver]: what is in memory is never lost.
func (l *instances) Lost() <-chan struct{} { return nil }

// Capabilities implements [driver.Driver].
func (l *instances) Capabilities() driver.Capabilities {
	return driver.Capabilities{Announce: true, Live: true}
}

// Close implements [driver.Driver].
func (l *instances) Close() error { return nil }
