package fileconfig

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/gowarren/warren/config/driver"
)

// blindPoll is how often the file is compared when the system can't watch it,
// for instance because its limit of watches is reached.
const blindPoll = 250 * time.Millisecond

// Watch compares the document with the one delivered last whenever its folder
// changes, and now and then besides.
func (f *files) Watch(ctx context.Context, environment string, deliver func(driver.Document)) error {
	events, poll := make(chan fsnotify.Event), f.poll
	if watcher, err := fsnotify.NewWatcher(); err == nil {
		defer watcher.Close()
		if watcher.Add(f.folder) == nil {
			events = watcher.Events
		} else {
			poll = min(poll, blindPoll)
		}
	} else {
		poll = min(poll, blindPoll)
	}
	ticker := time.NewTicker(poll)
	defer ticker.Stop()

	var last []byte
	for first := true; ; first = false {
		document, err := f.Load(ctx, environment)
		if err != nil {
			return err
		}
		if first || !bytes.Equal(document.Data, last) {
			last = document.Data
			deliver(document)
		}
		if err := f.untilChanged(ctx, f.documentPath(environment), events, ticker.C); err != nil {
			return err
		}
	}
}

// untilChanged returns when the document may have changed, or when the watch is over.
func (f *files) untilChanged(ctx context.Context, path string, events <-chan fsnotify.Event, tick <-chan time.Time) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.closed.Done():
			return errors.New("the driver is closed")
		case <-tick:
			return nil
		case e, open := <-events:
			if !open {
				return errors.New("the file watch ended")
			}
			if name := filepath.Clean(e.Name); name == filepath.Clean(path) || name == filepath.Clean(f.folder) {
				return nil
			}
		}
	}
}
