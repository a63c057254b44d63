// Package fileconfig keeps live settings in files: the driver for one machine
// without etcd, and for tests. Processes that share the folder see each other's
// changes at once.
//
// # URLs
//
//	file:///var/lib/shop/settings.json?history=1000&poll=2s
//
// history is how many changes per environment are kept; poll is how often the
// file is compared besides being watched, for file systems that tell nothing.
//
// # Files
//
// The path names a family of files, which hold the environment in their names:
//
//	settings.local.json            the document of environment local
//	settings.local.history.jsonl   its changes, one a line
//	settings.definitions.json      the definitions that services published
//	settings.lock                  held while one of them is changed
//
// A document is replaced by renaming, so a reader never sees half of one; it is
// written by Centre and carries a checksum: editing it by hand gets it refused.
package fileconfig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gowarren/warren/config/driver"
	"github.com/gowarren/warren/internal/openurl"
	"github.com/gowarren/warren/internal/wholefile"
)

type files struct {
	folder, stem, suffix string
	keep                 int
	poll                 time.Duration
	closed               context.Context
	close                context.CancelFunc
}

// Open returns the driver for a URL, and makes the folder if there is none.
func Open(_ context.Context, u *url.URL) (driver.Driver, error) {
	path := u.Path
	if path == "" {
		path = u.Opaque // file:settings.json
	}
	params := openurl.NewParams(u)
	keep, poll := params.Int("history", 1000), params.Duration("poll", 2*time.Second)
	switch err := params.Err(); {
	case err != nil:
		return nil, err
	case u.Host != "":
		return nil, fmt.Errorf("the URL names a host, %s: a path has three slashes, file:///var/lib/shop/settings.json", u.Host)
	case path == "" || strings.HasSuffix(path, "/"):
		return nil, errors.New("the URL names no file: file:///var/lib/shop/settings.json")
	case keep < 1 || poll <= 0:
		return nil, errors.New("parameters history and poll must be positive")
	}
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make folder for settings: %w", err)
	}
	suffix := filepath.Ext(path)
	closed, stop := context.WithCancel(context.Background())
	return &files{
		folder: folder, stem: strings.TrimSuffix(filepath.Base(path), suffix), suffix: suffix,
		keep: keep, poll: poll, closed: closed, close: stop,
	}, nil
}

func (f *files) documentPath(environment string) string { return f.path(environment + f.suffix) }
func (f *files) historyPath(environment string) string  { return f.path(environment + ".history.jsonl") }
func (f *files) definitionsPath() string                { return f.path("definitions" + f.suffix) }
func (f *files) path(rest string) string                { return filepath.Join(f.folder, f.stem+"."+rest) }

func (f *files) Load(ctx context.Context, environment string) (driver.Document, error) {
	if err := ctx.Err(); err != nil {
		return driver.Document{}, err
	}
	d, doubtful, err := f.load(environment)
	if err != nil || !doubtful {
		return d, err
	}
	// No document, or a damaged one, though there is a history: or just the
	// moment between the first record and its document.
	unlock, err := f.lock(ctx)
	if err != nil {
		return driver.Document{}, err
	}
	defer unlock()
	d, _, err = f.load(environment)
	return d, err
}

// load takes the revision from the history when the document doesn't tell it;
// doubtful then, unless the lock is held.
func (f *files) load(environment string) (d driver.Document, doubtful bool, err error) {
	d.Data, err = f.read(f.documentPath(environment))
	if d.Revision = driver.Revision(d.Data); err != nil || d.Revision > 0 {
		return d, false, err
	}
	records, err := f.records(environment)
	if err != nil || len(records) == 0 {
		return d, false, err
	}
	d.Revision = records[len(records)-1].revision
	return d, true, nil
}

// read returns nil for a file that isn't there, but an error for a folder that
// isn't: then it is not known what the settings are.
func (f *files) read(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		_, err = os.Stat(f.folder)
		return nil, err
	}
	return data, err
}

func (f *files) Publish(ctx context.Context, environment string, base int64, document, record []byte) error {
	unlock, err := f.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	now, _, err := f.load(environment)
	if err != nil {
		return err
	}
	if now.Revision != base {
		return driver.ErrConflict
	}
	// The record goes first. If this process dies before the document follows,
	// the record's revision is above the document's and it counts for nothing.
	if err := f.addRecord(environment, base, record); err != nil {
		return err
	}
	return wholefile.Write(f.documentPath(environment), document)
}

func (f *files) Define(ctx context.Context, service string, definitions map[string][]byte) error {
	unlock, err := f.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	all, err := f.services()
	if err != nil {
		return err
	}
	if all[service] == nil {
		all[service] = make(map[string]json.RawMessage)
	}
	for name, definition := range definitions {
		if definition == nil {
			delete(all[service], name)
		} else {
			all[service][name] = definition
		}
	}
	data, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return wholefile.Write(f.definitionsPath(), append(data, '\n'))
}

func (f *files) Definitions(ctx context.Context) (map[string]map[string][]byte, error) {
	all, err := f.services()
	if err != nil {
		return nil, err
	}
	out := make(map[string]map[string][]byte, len(all))
	for service, definitions := range all {
		out[service] = make(map[string][]byte, len(definitions))
		for name, definition := range definitions {
			if out[service][name], err = compact(definition); err != nil {
				return nil, err
			}
		}
	}
	return out, ctx.Err()
}

func (f *files) services() (map[string]map[string]json.RawMessage, error) {
	all := make(map[string]map[string]json.RawMessage)
	data, err := f.read(f.definitionsPath())
	if err == nil && data != nil {
		err = json.Unmarshal(data, &all)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.definitionsPath(), err)
	}
	return all, nil
}

func (f *files) Capabilities() driver.Capabilities { return driver.Capabilities{} }

func (f *files) Close() error {
	f.close()
	return nil
}
