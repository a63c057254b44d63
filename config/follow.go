package config

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gowarren/warren/config/driver"
)

const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 2 * time.Second // the most that a change waits once the centre is back
)

// follower keeps Settings in step with the centre, for as long as the process lives.
type follower struct {
	settings *Settings
	driver   driver.Driver
	stale    atomic.Bool

	stop    context.CancelFunc
	running sync.WaitGroup
	first   chan struct{} // closed when there is something to run on
	once    sync.Once

	publish   chan struct{} // definitions were added, or the centre is back
	published chan struct{} // closed when they were offered to the centre once
	offered   sync.Once

	// Of the watching goroutine alone:
	snapshot bool   // there are values from a snapshot
	seen     int64  // the newest revision of this connection
	live     bool   // this connection has delivered
	away     bool   // the outage is logged
	refused  []byte // the document refused last, so that the log says so once
}

func newFollower(s *Settings) *follower {
	f := &follower{
		settings: s, driver: s.options.Driver,
		first: make(chan struct{}), publish: make(chan struct{}, 1), published: make(chan struct{}),
	}
	f.stale.Store(true)
	return f
}

func (f *follower) start() {
	ctx, stop := context.WithCancel(context.Background())
	f.stop = stop
	f.loadSnapshot()
	f.running.Go(func() { f.watch(ctx) })
	if f.settings.options.Service != "" {
		f.running.Go(func() { f.publishDefinitions(ctx) })
	}
}

func (f *follower) close() {
	f.stop()
	f.running.Wait()
}

func (f *follower) ready(ctx context.Context) error {
	select {
	case <-f.first:
	case <-ctx.Done():
		return fmt.Errorf("wait for settings of environment %s: the centre does not answer and there is no snapshot: %w",
			f.settings.options.Environment, context.Cause(ctx))
	}
	if f.settings.options.Service == "" {
		return nil
	}
	for !f.stale.Load() {
		select {
		case <-f.published:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("wait for definitions of settings to be published: %w", context.Cause(ctx))
		case <-time.After(firstRetry): // the centre may have gone away since
		}
	}
	return nil
}

// watch follows the centre and connects again for ever. An outage is one line
// in the log, its end another.
func (f *follower) watch(ctx context.Context) {
	wait := firstRetry
	for {
		f.seen, f.live = -1, false
		err := f.driver.Watch(ctx, f.settings.options.Environment, f.deliver)
		if ctx.Err() != nil {
			return
		}
		if f.live {
			wait = firstRetry
		}
		f.stale.Store(true)
		if f.snapshot {
			f.once.Do(func() { close(f.first) })
		}
		if !f.away {
			f.away = true
			f.settings.logger.Warn("the configuration centre is away; the last settings stay in force",
				"revision", f.settings.Revision(), "error", err)
		}
		if !pause(ctx, jitter(wait)) {
			return
		}
		wait = min(2*wait, lastRetry)
	}
}

// deliver judges what the centre says and puts it in force if it is good.
func (f *follower) deliver(stored driver.Document) {
	if f.away {
		f.away = false
		f.settings.logger.Info("the configuration centre is back", "revision", stored.Revision)
	}
	if !f.live {
		f.live = true
		f.wake()
	}
	if err := f.take(stored.Data); err != nil {
		f.stale.Store(true)
		if f.refused == nil || !bytes.Equal(f.refused, stored.Data) {
			f.settings.metrics.refuse("document")
			f.settings.logger.Error("the centre's settings are refused; the last good ones stay in force",
				"revision", f.settings.Revision(), "error", err)
		}
		f.refused = append([]byte{}, stored.Data...)
	} else {
		f.refused = nil
		f.stale.Store(false)
	}
	f.once.Do(func() { close(f.first) })
}

func (f *follower) take(data []byte) error {
	s := f.settings
	current := s.Revision()
	if data == nil {
		if current > 0 {
			return errDocumentGone
		}
		f.seen = 0
		return nil
	}
	d, err := decode(data, s.options.Environment)
	switch {
	case err != nil:
		return err
	case d.Revision < f.seen:
		return fmt.Errorf("revision %d came after revision %d", d.Revision, f.seen)
	case bytes.Equal(data, s.inForce()):
		f.seen = d.Revision
		return nil
	case d.Revision == f.seen:
		return fmt.Errorf("revision %d came twice with different values", d.Revision)
	case d.Revision <= current:
		// The first answer of a connection is what the centre holds now. It may
		// be older than what runs here only if the centre was restored.
		s.logger.Warn("the centre went back to an older revision, as after restoring a backup; it is followed",
			"revision", d.Revision, "before", current)
	}
	f.seen = d.Revision
	s.apply(d, data)
	f.saveSnapshot(data)
	return nil
}

// wake asks for the definitions to be published.
func (f *follower) wake() {
	select {
	case f.publish <- struct{}{}:
	default:
	}
}
