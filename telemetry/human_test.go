package telemetry

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestHuman(t *testing.T) {
	var out bytes.Buffer
	log := func(logger *slog.Logger, level slog.Level, message string, attrs ...any) {
		record := slog.NewRecord(time.Date(2026, 11, 21, 8, 1, 42, 123e6, time.UTC), level, message, 0)
		record.Add(attrs...)
		if err := logger.Handler().Handle(context.Background(), record); err != nil {
			t.Fatal(err)
		}
	}
	plain := slog.New(newHuman(&out, slog.LevelInfo, false))
	log(plain, slog.LevelInfo, "ready")
	log(plain, slog.LevelWarn, "registry is away", "attempt", 3, "error", errors.New("dial tcp: refused"), "for", 1500*time.Millisecond)
	log(plain.With("service", "catalog").WithGroup("http"), slog.LevelError, "a message that is longer than the column", "status", 500, "path", "")
	log(plain, slog.LevelError, "panic", "stack", "goroutine 1:\n\tmain.go:3\n", "method", "/a.B/C")
	log(plain, slog.LevelDebug, "escape \x1b[31m\nand forge", "x", "\x1b[2J", "t", time.Unix(0, 0).UTC(), "nothing", nil)
	log(slog.New(newHuman(&out, slog.LevelInfo, true)), slog.LevelWarn, "coloured", "n", 1)
	want := `08:01:42.123 INFO  ready
08:01:42.123 WARN  registry is away                     attempt=3 error="dial tcp: refused" for=1.5s
08:01:42.123 ERROR a message that is longer than the column service=catalog http.status=500 http.path=""
08:01:42.123 ERROR panic                                method=/a.B/C
    stack:
        goroutine 1:
         main.go:3
08:01:42.123 DEBUG escape �[31m�and forge               x="\x1b[2J" t=1970-01-01T00:00:00Z nothing=<nil>
` + "\x1b[2m08:01:42.123\x1b[0m \x1b[33mWARN \x1b[0m coloured                             \x1b[2mn=\x1b[0m1\n"
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(out.String(), "\n")); diff != "" {
		t.Error(diff)
	}
}

func TestHumanKeepsTheRulesOfSlog(t *testing.T) {
	var out bytes.Buffer
	slogtest.Run(t, func(*testing.T) slog.Handler {
		out.Reset()
		return newHuman(&out, slog.LevelInfo, false)
	}, func(t *testing.T) map[string]any { return parseHuman(out.String()) })
}

// parseHuman reads the simple lines of slogtest back.
func parseHuman(line string) map[string]any {
	fields := strings.Fields(line)
	parsed := make(map[string]any)
	if strings.Contains(fields[0], ":") {
		parsed[slog.TimeKey] = fields[0]
		fields = fields[1:]
	}
	parsed[slog.LevelKey], parsed[slog.MessageKey] = fields[0], fields[1]
	for _, field := range fields[2:] {
		key, value, _ := strings.Cut(field, "=")
		path := strings.Split(key, ".")
		at := parsed
		for _, group := range path[:len(path)-1] {
			if at[group] == nil {
				at[group] = make(map[string]any)
			}
			at = at[group].(map[string]any)
		}
		at[path[len(path)-1]] = value
	}
	return parsed
}
