package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/gowarren/warren/internal/wholefile"
)

// header begins a snapshot on disk; the checksum of what follows it ends the
// first line.
const header = "warren registry snapshot 1 sha256:"

// saver keeps the last good snapshot on disk.
type saver struct {
	path   string
	logger *slog.Logger
	wake   chan struct{}

	failing bool
}

type savedSnapshot struct {
	Saved     time.Time  `json:"saved"`
	Revision  int64      `json:"revision"`
	Instances []Instance `json:"instances"`
}

// run writes the snapshot after it has changed, at most once a second: the
// disk may be slow, and nobody waits for it.
func (s *saver) run(ctx context.Context, current *atomic.Pointer[Snapshot]) {
	if s.path == "" {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
			s.keep(current.Load())
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// flush writes what run did not come to write. Run has ended.
func (s *saver) flush(current *atomic.Pointer[Snapshot]) {
	select {
	case <-s.wake:
		if s.path != "" {
			s.keep(current.Load())
		}
	default:
	}
}

// keep saves a snapshot that is good, and reports when that begins to fail.
func (s *saver) keep(snapshot *Snapshot) {
	if snapshot.Stale {
		return
	}
	err := s.save(snapshot)
	if err != nil && !s.failing {
		s.logger.Warn("the registry's snapshot cannot be kept on disk", "error", err)
	}
	s.failing = err != nil
}

func (s *saver) save(snapshot *Snapshot) error {
	body, err := json.Marshal(savedSnapshot{time.Now().UTC(), snapshot.Revision, snapshot.Instances})
	if err != nil {
		return fmt.Errorf("encode registry snapshot: %w", err)
	}
	content := fmt.Appendf(nil, "%s%x\n%s\n", header, sha256.Sum256(body), body)
	if err := wholefile.Write(s.path, content); err != nil {
		return fmt.Errorf("save registry snapshot: %w", err)
	}
	return nil
}

// load returns nil when nothing was saved.
func (s *saver) load() (*savedSnapshot, error) {
	if s.path == "" {
		return nil, nil
	}
	content, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load registry snapshot: %w", err)
	}
	first, rest, _ := bytes.Cut(content, []byte("\n"))
	body := bytes.TrimSuffix(rest, []byte("\n"))
	if want := fmt.Sprintf("%s%x", header, sha256.Sum256(body)); string(first) != want {
		return nil, fmt.Errorf("load registry snapshot %s: its checksum does not match", s.path)
	}
	saved := &savedSnapshot{}
	if err := json.Unmarshal(body, saved); err != nil {
		return nil, fmt.Errorf("load registry snapshot %s: %w", s.path, err)
	}
	return saved, nil
}
