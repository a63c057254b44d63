package configtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/config/driver"
)

func testDamage(t *testing.T, s *suite) {
	centre := s.centre(t)
	log := &Log{}
	p := s.settings(t, func(o *config.Options) { o.Logger = log.Logger() })
	v := config.Watch(p, timeout(), config.Scope{})
	set(t, centre, "rpc.timeout", config.Scope{}, "1s")
	becomes(t, within, v, time.Second)
	whole := s.Read(t, environment)

	for _, damaged := range [][]byte{
		whole[:len(whole)/2],
		bytes.Replace(whole, []byte(`"1s"`), []byte(`"9s"`), 1), // edited by hand
		[]byte("{}"),
		{},
	} {
		before := log.Count("the last good ones stay in force")
		s.Write(t, environment, damaged)
		eventually(t, atLast, "the log tells of the damage", func() bool {
			return log.Count("the last good ones stay in force") == before+1
		})
		if v.Get() != time.Second || !p.Stale() {
			t.Errorf("with a damaged document: %v, stale %v", v.Get(), p.Stale())
		}
	}
	value := "3s"
	_, err := centre.Set(t.Context(), []config.Edit{{Name: "rpc.timeout", New: &value}}, "ann", "a test")
	refused(t, err, "document", "a rollback to a revision in the history repairs it")

	// The history repairs it.
	_, err = centre.Rollback(t.Context(), 1, "ann", "repair")
	check(t, err)
	eventually(t, within, "the repaired document runs", func() bool { return p.Revision() == 2 && !p.Stale() })
	set(t, centre, "rpc.timeout", config.Scope{}, "3s")
	becomes(t, within, v, 3*time.Second)
}

func testOlder(t *testing.T, s *suite) {
	centre := s.centre(t)
	log := &Log{}
	p := s.settings(t, func(o *config.Options) { o.Logger = log.Logger() })
	v := config.Watch(p, timeout(), config.Scope{})
	set(t, centre, "rpc.timeout", config.Scope{}, "1s")
	older := s.Read(t, environment)
	set(t, centre, "rpc.timeout", config.Scope{}, "2s")
	becomes(t, within, v, 2*time.Second)
	eventually(t, within, "revision 2 runs", func() bool { return p.Revision() == 2 })
	s.Write(t, environment, older)
	eventually(t, atLast, "the older document is refused", func() bool { return log.Count("revision 1 came after revision 2") == 1 })
	if v.Get() != 2*time.Second || p.Revision() != 2 || !p.Stale() {
		t.Errorf("after an older document: %v, revision %d, stale %v", v.Get(), p.Revision(), p.Stale())
	}
}

func testGone(t *testing.T, s *suite) {
	centre := s.centre(t)
	p := s.settings(t)
	v := config.Watch(p, timeout(), config.Scope{})
	set(t, centre, "rpc.timeout", config.Scope{}, "1s")
	becomes(t, within, v, time.Second)
	s.Write(t, environment, nil)
	eventually(t, atLast, "the settings are stale", p.Stale)
	if v.Get() != time.Second {
		t.Errorf("without a document: %v", v.Get())
	}
	_, _, err := centre.Get(t.Context())
	refused(t, err, "document is gone", "rollback")
	_, err = centre.Rollback(t.Context(), 1, "ann", "bring it back")
	check(t, err)
	eventually(t, within, "revision 2 runs", func() bool { return p.Revision() == 2 && !p.Stale() })
}

func testOutage(t *testing.T, s *suite) {
	centre := s.centre(t)
	log := &Log{}
	p := s.settings(t, func(o *config.Options) { o.Logger = log.Logger() })
	v := config.Watch(p, timeout(), config.Scope{})
	set(t, centre, "rpc.timeout", config.Scope{}, "1s")
	becomes(t, within, v, time.Second)

	for outage := 1; outage <= 2; outage++ {
		s.Stop(t)
		eventually(t, atLast, "the outage is noticed", p.Stale)
		if v.Get() != time.Second*time.Duration(outage) {
			t.Errorf("while the centre is away: %v", v.Get())
		}
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		value := "7s"
		_, err := centre.Set(ctx, []config.Edit{{Name: "rpc.timeout", New: &value}}, "ann", "in vain")
		cancel()
		refused(t, err, "set in local")
		s.Start(t)
		eventually(t, atLast, "the centre is followed again", func() bool { return !p.Stale() })
		set(t, centre, "rpc.timeout", config.Scope{}, (time.Second * time.Duration(outage+1)).String())
		becomes(t, within, v, time.Second*time.Duration(outage+1))
	}
	if away, back := log.Count("is away"), log.Count("is back"); away != 2 || back != 2 {
		t.Errorf("two outages are %d and %d lines in the log:\n%s", away, back, log)
	}
}

func testSnapshot(t *testing.T, s *suite) {
	centre := s.centre(t)
	file := filepath.Join(t.TempDir(), "deep", "settings.json")
	keep := func(o *config.Options) { o.Snapshot = file }
	first := s.settings(t, keep)
	set(t, centre, "rpc.timeout", config.Scope{}, "1s")
	becomes(t, within, config.Watch(first, timeout(), config.Scope{}), time.Second)
	first.Close()

	s.Stop(t)
	second := s.settings(t, keep) // Ready does not wait for the centre
	v := config.Watch(second, timeout(), config.Scope{})
	if v.Get() != time.Second || !second.Stale() || second.Revision() != 1 {
		t.Errorf("from the snapshot: %v, stale %v, revision %d", v.Get(), second.Stale(), second.Revision())
	}
	s.Start(t)
	eventually(t, atLast, "the centre is followed", func() bool { return !second.Stale() })
	set(t, centre, "rpc.timeout", config.Scope{}, "2s")
	becomes(t, within, v, 2*time.Second)
}

func testLateCentre(t *testing.T, s *suite) {
	s.Stop(t)
	p := s.start(t)
	v := config.Watch(p, timeout(), config.Scope{})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	refused(t, p.Ready(ctx), "no snapshot")
	if v.Get() != 2*time.Second || !p.Stale() {
		t.Errorf("before the centre: %v, stale %v", v.Get(), p.Stale())
	}
	s.Start(t)
	long, cancel := context.WithTimeout(t.Context(), atLast)
	defer cancel()
	check(t, p.Ready(long))
	set(t, s.centre(t), "rpc.timeout", config.Scope{}, "1s")
	becomes(t, within, v, time.Second)
}

func testLostWatch(t *testing.T, s *suite) {
	centre := s.centre(t)
	p := s.settings(t)
	v := config.Watch(p, timeout(), config.Scope{})
	for i := range 3 {
		want := time.Duration(i+1) * time.Second
		if s.Forget == nil {
			s.Stop(t)
			s.Start(t)
		} else {
			s.Forget(t)
		}
		eventually(t, atLast, "a change is made", func() bool {
			value := want.String()
			_, err := centre.Set(t.Context(), []config.Edit{{Name: "rpc.timeout", New: &value}}, "ann", "a test")
			return err == nil
		})
		becomes(t, atLast, v, want)
	}
	set(t, centre, "rpc.timeout", config.Scope{}, "50ms")
	becomes(t, within, v, 50*time.Millisecond)
}

func testClose(t *testing.T, s *suite) {
	d := s.Open(t)
	first, ended := make(chan struct{}), make(chan error)
	var once sync.Once
	go func() {
		ended <- d.Watch(t.Context(), environment, func(driver.Document) { once.Do(func() { close(first) }) })
	}()
	<-first
	check(t, d.Close())
	select {
	case err := <-ended:
		if err == nil {
			t.Error("a watch ended without an error")
		}
	case <-time.After(atLast):
		t.Error("the watch outlives its driver")
	}
	other, cancel := context.WithCancel(t.Context())
	err := s.Open(t).Watch(other, environment, func(driver.Document) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled watch ended with %v", err)
	}
}

// Log keeps what is logged, for tests that count lines.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Logger returns a logger that writes to the log.
func (l *Log) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String returns all that was logged.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Count tells how many lines hold the words.
func (l *Log) Count(words string) int { return strings.Count(l.String(), words) }

// Quiet returns a logger that says nothing.
func Quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func asJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	check(t, err)
	return string(data)
}
