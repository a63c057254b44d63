package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gowarren/warren/internal/audit"
)

// openAudit opens the list of who changed what. One that only the console had,
// of earlier versions, becomes its beginning.
func (s *Supervisor) openAudit() (*audit.Log, error) {
	path := AuditFile(s.data.dir)
	for _, end := range []string{"", ".1"} {
		if _, err := os.Lstat(path + end); err == nil {
			continue
		}
		err := os.Rename(s.data.path("console-audit.jsonl")+end, path+end)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("take over the audit of the console: %w", err)
		}
	}
	return &audit.Log{File: &audit.File{Path: path}, Owner: s.opts.Author, Logger: s.log}, nil
}

// AuditFile is the file of who changed what in the system in a data folder.
func AuditFile(data string) string { return filepath.Join(data, "audit.jsonl") }
