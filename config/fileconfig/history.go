package fileconfig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"

	"github.com/gowarren/warren/config/driver"
	"github.com/gowarren/warren/internal/wholefile"
)

// line is a record in the history file.
type line struct {
	revision int64
	data     []byte
}

// records reads the history, oldest first. Lines that are not records, such as
// one that a crash cut off, are left out.
func (f *files) records(environment string) ([]line, error) {
	data, err := f.read(f.historyPath(environment))
	if err != nil {
		return nil, err
	}
	var out []line
	for raw := range bytes.Lines(data) {
		raw = bytes.TrimSpace(raw)
		if revision := driver.Revision(raw); revision > 0 {
			out = append(out, line{revision, raw})
		}
	}
	return out, nil
}

// History leaves out a record above the document's revision: its change never
// took place.
func (f *files) History(ctx context.Context, environment string, limit int) ([][]byte, error) {
	// The document first: records that are added meanwhile are above it.
	document, err := f.Load(ctx, environment)
	if err != nil {
		return nil, err
	}
	records, err := f.records(environment)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for _, r := range slices.Backward(records) {
		if limit > 0 && len(out) == limit {
			break
		}
		if r.revision <= document.Revision {
			out = append(out, r.data)
		}
	}
	return out, nil
}

// addRecord adds the record after those up to base. Mostly that is an append; a
// history that is too long or has a line that doesn't belong is written anew.
func (f *files) addRecord(environment string, base int64, record []byte) error {
	record, err := compact(record)
	if err != nil {
		return err
	}
	records, err := f.records(environment)
	if err != nil {
		return err
	}
	records = slices.DeleteFunc(records, func(l line) bool { return l.revision > base })
	var clean bytes.Buffer
	write := func(data []byte) { clean.Write(data); clean.WriteByte('\n') }
	for _, r := range records {
		write(r.data)
	}
	path := f.historyPath(environment)
	stored, err := f.read(path)
	if err != nil {
		return err
	}
	if bytes.Equal(stored, clean.Bytes()) && len(records) < f.keep+f.keep/8 {
		return appendTo(path, append(record, '\n'))
	}
	clean.Reset()
	for _, r := range records[max(0, len(records)+1-f.keep):] {
		write(r.data)
	}
	write(record)
	return wholefile.Write(path, clean.Bytes())
}

func appendTo(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Sync(), file.Close())
}

func compact(data []byte) ([]byte, error) {
	var out bytes.Buffer
	err := json.Compact(&out, data)
	return out.Bytes(), err
}
