package lock_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gowarren/warren/lock/driver"
)

// memory is an engine for tests of the portable part: with the clock of the
// test, and away at its word.
type memory struct {
	mu    sync.Mutex
	token int64
	held  map[string]lease
	away  error
	freed chan struct{}
}

type lease struct {
	owner string
	token int64
	until time.Time
}

func newMemory() *memory { return &memory{held: map[string]lease{}, freed: make(chan struct{}, 1)} }

func (m *memory) setAway(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = err
}

func (m *memory) Acquire(_ context.Context, name, owner string, ttl time.Duration) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away != nil {
		return 0, m.away
	}
	if l, ok := m.held[name]; ok && l.owner != owner && time.Now().Before(l.until) {
		return 0, driver.ErrHeld
	}
	m.token++
	m.held[name] = lease{owner, m.token, time.Now().Add(ttl)}
	return m.token, nil
}

func (m *memory) Renew(_ context.Context, name, owner string, token int64, ttl time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away != nil {
		return m.away
	}
	l, ok := m.held[name]
	if !ok || l.owner != owner || l.token != token || !time.Now().Before(l.until) {
		return driver.ErrLost
	}
	l.until = time.Now().Add(ttl)
	m.held[name] = l
	return nil
}

func (m *memory) Release(_ context.Context, name, owner string, _ int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away != nil {
		return m.away
	}
	if m.held[name].owner == owner {
		delete(m.held, name)
		select {
		case m.freed <- struct{}{}:
		default:
		}
	}
	return nil
}

func (m *memory) Wait(ctx context.Context, _ string) error {
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-m.freed:
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// steal takes every lock away, as a person with the engine's own tools would.
func (m *memory) steal() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.held)
}

func (m *memory) Capabilities() driver.Capabilities { return driver.Capabilities{} }
func (m *memory) Close() error                      { return nil }

var errAway = errors.New("the engine is away")
