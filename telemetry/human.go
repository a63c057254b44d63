package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// messageWidth is where the attributes of a short message begin, so that the
// eye finds them in one column.
const messageWidth = 36

const (
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	cyan   = "\x1b[36m"
	reset  = "\x1b[0m"
)

// human writes lines for a person: the time of day, the level, the message and
// the attributes as key=value.
//
//	08:01:42.123 WARN  registry is away                     attempt=3 error="dial tcp: refused"
type human struct {
	mu      *sync.Mutex // shared by all handlers that write to out
	out     io.Writer
	level   slog.Leveler
	colours bool
	groups  []string
	attrs   []byte // already written out as key=value
	blocks  []byte // values of several lines, to stand below the line
}

func newHuman(out io.Writer, level slog.Leveler, colours bool) *human {
	return &human{mu: new(sync.Mutex), out: out, level: level, colours: colours}
}

// Enabled implements slog.Handler.
func (h *human) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level.Level() }

// Handle implements slog.Handler.
func (h *human) Handle(_ context.Context, record slog.Record) error {
	attrs, blocks := bytes.NewBuffer(bytes.Clone(h.attrs)), bytes.NewBuffer(bytes.Clone(h.blocks))
	record.Attrs(func(a slog.Attr) bool {
		h.write(attrs, blocks, h.groups, a)
		return true
	})
	var line bytes.Buffer
	if !record.Time.IsZero() {
		line.WriteString(h.paint(dim, record.Time.Format("15:04:05.000")))
		line.WriteByte(' ')
	}
	line.WriteString(h.paint(levelColour(record.Level), fmt.Sprintf("%-5s", record.Level)))
	line.WriteByte(' ')
	message := withoutCards(record.Message)
	line.WriteString(printable(message))
	if attrs.Len() > 0 {
		if gap := messageWidth - utf8.RuneCountInString(message); gap > 0 {
			line.WriteString(strings.Repeat(" ", gap))
		}
		line.Write(attrs.Bytes())
	}
	line.WriteByte('\n')
	line.Write(blocks.Bytes())
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := h.out.Write(line.Bytes())
	return err
}

// WithAttrs implements slog.Handler.
func (h *human) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	line, blocks := bytes.NewBuffer(bytes.Clone(h.attrs)), bytes.NewBuffer(bytes.Clone(h.blocks))
	for _, a := range attrs {
		h.write(line, blocks, h.groups, a)
	}
	next.attrs, next.blocks = line.Bytes(), blocks.Bytes()
	return &next
}

// WithGroup implements slog.Handler.
func (h *human) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	next := *h
	next.groups = append(h.groups[:len(h.groups):len(h.groups)], name)
	return &next
}

// write appends one attribute, or those of a group, to the line; a value of
// several lines, such as a stack, goes below it.
func (h *human) write(line, blocks *bytes.Buffer, groups []string, a slog.Attr) {
	a.Value = a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return
	}
	if a.Value.Kind() == slog.KindGroup {
		if a.Key != "" {
			groups = append(groups[:len(groups):len(groups)], a.Key)
		}
		for _, member := range a.Value.Group() {
			h.write(line, blocks, groups, member)
		}
		return
	}
	a = redactLog(groups, a)
	key, text := strings.Join(append(groups[:len(groups):len(groups)], a.Key), "."), valueText(a.Value)
	if strings.Contains(text, "\n") {
		fmt.Fprintf(blocks, "    %s\n", h.paint(dim, key+":"))
		for row := range strings.Lines(text) {
			fmt.Fprintf(blocks, "        %s\n", printable(strings.TrimRight(row, "\n")))
		}
		return
	}
	line.WriteByte(' ')
	line.WriteString(h.paint(dim, key+"="))
	if text == "" || strings.ContainsAny(text, " \"=") || printable(text) != text {
		text = strconv.Quote(text)
	}
	line.WriteString(text)
}

func valueText(v slog.Value) string {
	switch v.Kind() {
	case slog.KindTime:
		return v.Time().Format(time.RFC3339Nano)
	case slog.KindAny:
		if raw, ok := v.Any().(json.RawMessage); ok {
			return string(raw)
		}
		return fmt.Sprintf("%+v", v.Any())
	}
	return v.String()
}

// printable keeps what came from outside from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if !strconv.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

func (h *human) paint(colour, s string) string {
	if !h.colours || colour == "" {
		return s
	}
	return colour + s + reset
}

func levelColour(level slog.Level) string {
	switch {
	case level >= slog.LevelError:
		return red
	case level >= slog.LevelWarn:
		return yellow
	case level >= slog.LevelInfo:
		return cyan
	}
	return dim
}
