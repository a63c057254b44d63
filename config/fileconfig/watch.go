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
	eyes := f.open()
	defer eyes.close()
	var last []byte
	for first := true; ; first = false {
		document, err := f.Load(ctx, environment)
		if err != nil {
			return err
		}
		if first || !bytes.Equal(document.Data, last) || (document.Data == nil) != (last == nil) {
			last = document.Data
			deliver(document)
		}
		if err := f.untilChanged(ctx, f.documentPath(environment), eyes); err != nil {
			return err
		}
	}
}

// eyes watch the folder, as far as the system lets them.
type eyes struct {
	watcher *fsnotify.Watcher // may be nil
	events  <-chan fsnotify.Event
	folder  string
	poll    time.Duration
	ticker  *time.Ticker
	blind   bool // the folder is not watched
}

func (f *files) open() *eyes {
	e := &eyes{folder: f.folder, poll: f.poll, ticker: time.NewTicker(f.poll)}
	if watcher, err := fsnotify.NewWatcher(); err == nil {
		e.watcher, e.events = watcher, watcher.Events
	}
	e.look()
	return e
}

// look watches what has the folder's name now. Without such a thing it is
// blind, and looks often.
func (e *eyes) look() {
	was := e.blind
	e.blind = e.watcher == nil || e.watcher.Add(e.folder) != nil
	switch {
	case e.blind && !was:
		e.ticker.Reset(min(e.poll, blindPoll))
	case was && !e.blind:
		e.ticker.Reset(e.poll)
	}
}

// again is look for a folder that was moved or deleted: the system watches the
// one that had the name when it was asked.
func (e *eyes) again() {
	if e.watcher != nil {
		_ = e.watcher.Remove(e.folder) // it may be gone already
	}
	e.look()
}

func (e *eyes) close() {
	e.ticker.Stop()
	if e.watcher != nil {
		_ = e.watcher.Close()
	}
}

// untilChanged returns when the document may have changed, or when the watch is over.
func (f *files) untilChanged(ctx context.Context, path string, eyes *eyes) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.closed.Done():
			return errors.New("the driver is closed")
		case <-eyes.ticker.C:
			if eyes.blind {
				eyes.look()
			}
			return nil
		case e, open := <-eyes.events:
			switch {
			case !open:
				return errors.New("the file watch ended")
			case filepath.Clean(e.Name) == filepath.Clean(f.folder):
				eyes.again()
				return nil
			case filepath.Clean(e.Name) == filepath.Clean(path):
				return nil
			}
		}
	}
}
