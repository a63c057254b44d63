package alerting

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"

	"github.com/gowarren/warren/internal/wholefile"
)

// readJSON reads what was kept. A file that cannot be understood is set aside: the
// system has to run, and its alerts, whatever became of their past.
func readJSON[T any](path string, into *T, log *slog.Logger) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	var kept T
	if err := json.Unmarshal(text, &kept); err != nil {
		aside := path + ".damaged"
		if e := os.Rename(path, aside); e != nil {
			return fmt.Errorf("read %s: %w", path, errors.Join(err, e))
		}
		log.Warn("what was kept of alerts cannot be read; it is set aside", "file", aside, "error", err)
		return nil
	}
	*into = kept
	return nil
}

// writeJSON writes in one step: half a file would not be read again.
func writeJSON(path string, what any) error {
	text, err := json.MarshalIndent(what, "", " ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return wholefile.Write(path, text)
}

// journal keeps the latest entries of a file that is only appended to.
type journal[T any] struct {
	path string
	mu   sync.Mutex
	kept []T // oldest first
	more int // lines in the file beyond those kept
}

const journalKeeps = 5000

func openJournal[T any](path string) (*journal[T], error) {
	j := &journal[T]{path: path}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	for line := range bytes.Lines(text) {
		var entry T
		if json.Unmarshal(line, &entry) == nil { // a line that a crash cut off is lost
			j.kept = append(j.kept, entry)
		}
	}
	j.drop()
	return j, j.rewrite()
}

func (j *journal[T]) drop() {
	if over := len(j.kept) - journalKeeps; over > 0 {
		j.kept = slices.Delete(j.kept, 0, over)
		j.more += over
	}
}

func (j *journal[T]) add(entry T) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.kept = append(j.kept, entry)
	j.drop()
	if j.more > journalKeeps {
		return j.rewrite()
	}
	line, err := json.Marshal(entry)
	if err != nil {
		return fmt.Errorf("append to %s: %w", j.path, err)
	}
	f, err := os.OpenFile(j.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("append to %s: %w", j.path, err)
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}

func (j *journal[T]) rewrite() error {
	var text bytes.Buffer
	out := json.NewEncoder(&text)
	for _, entry := range j.kept {
		if err := out.Encode(entry); err != nil {
			return fmt.Errorf("write %s: %w", j.path, err)
		}
	}
	j.more = 0
	return wholefile.Write(j.path, text.Bytes())
}

// latest returns the entries that are wanted, the newest first.
func (j *journal[T]) latest(limit int, wanted func(T) bool) []T {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []T
	for _, entry := range slices.Backward(j.kept) {
		if len(out) < limit && wanted(entry) {
			out = append(out, entry)
		}
	}
	return out
}
