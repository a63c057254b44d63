package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

// File keeps entries, a line of JSON for each. It is only ever added to. When it
// is full it is turned over: the one before is kept, and what was before that is
// gone.
type File struct {
	Path string

	mu    sync.Mutex
	whole bool // the last line is known to have its end
}

const (
	mostKept = 16 << 20 // of the file
	mostSaid = 8 << 10  // of one thing that an entry says
)

// Add writes an entry down.
func (f *File) Add(e *observev1.AuditEntry) error {
	e = proto.CloneOf(e)
	for _, text := range []*string{&e.Author, &e.Target, &e.Reason, &e.Error} {
		if len(*text) > mostSaid {
			*text = (*text)[:mostSaid] + "…"
		}
		*text = strings.ToValidUTF8(*text, "")
	}
	line, err := protojson.Marshal(e)
	if err != nil {
		return fmt.Errorf("write the audit: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.turn(); err != nil {
		return fmt.Errorf("write the audit: %w", err)
	}
	if err := f.write(append(line, '\n')); err != nil {
		return fmt.Errorf("write the audit: %w", err)
	}
	return nil
}

func (f *File) before() string { return f.Path + ".1" }

func (f *File) turn() error {
	info, err := os.Stat(f.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return os.MkdirAll(filepath.Dir(f.Path), 0o700)
	case err == nil && info.Size() >= mostKept:
		return os.Rename(f.Path, f.before())
	}
	return err
}

// write adds a line. One that a power cut has left without its end is not
// joined with it: that would be two lines lost.
func (f *File) write(line []byte) error {
	to, err := os.OpenFile(f.Path, os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if info, err := to.Stat(); err == nil && !f.whole && info.Size() > 0 {
		last := make([]byte, 1)
		if _, err := to.ReadAt(last, info.Size()-1); err == nil && last[0] != '\n' {
			line = append([]byte{'\n'}, line...)
		}
	}
	_, err = to.Write(line)
	f.whole = err == nil
	return errors.Join(err, to.Close())
}

// List returns the last entries that have a text in them, the last one first; a
// limit of 0: all.
func (f *File) List(limit int, query string) ([]*observev1.AuditEntry, error) {
	out := []*observev1.AuditEntry{}
	for _, path := range []string{f.Path, f.before()} {
		data, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read the audit: %w", err)
		}
		for len(data) > 0 {
			var line []byte
			line, data = lastLine(data)
			e := &observev1.AuditEntry{}
			if (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(line, e) != nil || !fits(e, query) {
				continue // one that is not whole tells nothing
			}
			if out = append(out, e); len(out) == limit {
				return out, nil
			}
		}
	}
	return out, nil
}

// lastLine cuts the last line off.
func lastLine(data []byte) (line, rest []byte) {
	data = bytes.TrimSuffix(data, []byte("\n"))
	i := bytes.LastIndexByte(data, '\n')
	return data[i+1:], data[:i+1]
}
