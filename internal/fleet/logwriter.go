package fleet

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// lineWriter takes the lines of one instance, whose processes overlap when one
// replaces the other. It is safe for concurrent use.
type lineWriter struct {
	book              *Logs
	service, instance string

	mu      sync.Mutex
	file    *os.File
	written int64
}

// cutter returns where one process writes.
func (w *lineWriter) cutter() *cutter { return &cutter{to: w} }

func (w *lineWriter) line(text []byte) {
	text = bytes.TrimRight(text, "\r")
	if len(text) > maxLine {
		text = text[:maxLine]
	}
	// Lines travel as text, which other bytes, and half a letter, are not.
	valid := strings.ToValidUTF8(string(text), "\uFFFD")
	line := Line{Service: w.service, Instance: w.instance, Time: time.Now(), Text: valid}
	w.toFile(line.Text + "\n")
	w.book.add(line)
}

// toFile never fails, since a full disk must not stop a service.
func (w *lineWriter) toFile(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == nil && !w.open() {
		return
	}
	n, _ := w.file.WriteString(text)
	if w.written += int64(n); w.written > maxLogBytes {
		w.shut()
	}
}

// open starts the file of the instance; a full one becomes the previous one.
func (w *lineWriter) open() bool {
	path := filepath.Join(w.book.dir, fileName(w.instance)+".log")
	if info, err := os.Stat(path); err == nil && info.Size() > maxLogBytes {
		_ = os.Rename(path, path+".1")
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return false
	}
	info, err := f.Stat()
	if err == nil {
		w.written = info.Size()
	}
	w.file = f
	return true
}

func (w *lineWriter) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shut()
}

func (w *lineWriter) shut() {
	if w.file != nil {
		_ = w.file.Close()
		w.file = nil
	}
}

// cutter cuts the output of one process into lines.
type cutter struct {
	to      *lineWriter
	partial []byte
}

// Write takes output of any cut; it never fails.
func (c *cutter) Write(p []byte) (int, error) {
	n := len(p)
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			if c.partial = append(c.partial, p...); len(c.partial) > maxLine {
				c.flush()
			}
			return n, nil
		}
		c.to.line(append(c.partial, p[:i]...))
		c.partial = c.partial[:0]
		p = p[i+1:]
	}
}

// flush ends a line that its process did not end.
func (c *cutter) flush() {
	if len(c.partial) > 0 {
		c.to.line(c.partial)
		c.partial = nil
	}
}

// fileName makes an instance's name fit for a file: "catalog/1" → "catalog-1".
func fileName(instance string) string {
	return string(bytes.ReplaceAll([]byte(instance), []byte("/"), []byte("-")))
}
