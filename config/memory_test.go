package config_test

import (
	"context"
	"errors"
	"maps"
	"sync"

	"github.com/gowarren/warren/config/driver"
)

// memory is a centre for tests of the portable type, with faults on demand.
type memory struct {
	mu          sync.Mutex
	documents   map[string]driver.Document
	history     map[string][][]byte
	definitions map[string]map[string][]byte
	changed     chan struct{} // closed and replaced at each change
	away        bool
	loseAnswers bool // publishes take place, but say they did not
	watches     int
}

var errAway = errors.New("the engine is away")

func newMemory() *memory {
	return &memory{
		documents: map[string]driver.Document{}, history: map[string][][]byte{},
		definitions: map[string]map[string][]byte{}, changed: make(chan struct{}),
	}
}

func (m *memory) change(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *memory) leave(away bool) { m.change(func() { m.away = away }) }

func (m *memory) state(environment string) (driver.Document, chan struct{}, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return driver.Document{}, nil, errAway
	}
	return m.documents[environment], m.changed, nil
}

func (m *memory) Load(_ context.Context, environment string) (driver.Document, error) {
	d, _, err := m.state(environment)
	return d, err
}

func (m *memory) Watch(ctx context.Context, environment string, deliver func(driver.Document)) error {
	m.mu.Lock()
	m.watches++
	m.mu.Unlock()
	for {
		d, changed, err := m.state(environment)
		if err != nil {
			return err
		}
		deliver(d)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

func (m *memory) Publish(_ context.Context, environment string, base int64, document, record []byte) (err error) {
	m.change(func() {
		switch {
		case m.away:
			err = errAway
		case m.documents[environment].Revision != base:
			err = driver.ErrConflict
		default:
			m.documents[environment] = driver.Document{Revision: base + 1, Data: document}
			m.history[environment] = append([][]byte{record}, m.history[environment]...)
			if m.loseAnswers {
				err = errAway
			}
		}
	})
	return err
}

func (m *memory) History(_ context.Context, environment string, limit int) ([][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.history[environment]
	if limit > 0 && len(all) > limit {
		all = all[:limit]
	}
	return all, nil
}

func (m *memory) Define(_ context.Context, service string, definitions map[string][]byte) (err error) {
	m.change(func() {
		if m.away {
			err = errAway
			return
		}
		next := map[string][]byte{}
		maps.Copy(next, m.definitions[service])
		for name, data := range definitions {
			if next[name] = data; data == nil {
				delete(next, name)
			}
		}
		m.definitions[service] = next
	})
	return err
}

func (m *memory) Definitions(context.Context) (map[string]map[string][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return nil, errAway
	}
	out := map[string]map[string][]byte{}
	maps.Copy(out, m.definitions)
	return out, nil
}

func (m *memory) Capabilities() driver.Capabilities { return driver.Capabilities{} }
func (m *memory) Close() error                      { return nil }
