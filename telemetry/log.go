package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/mattn/go-isatty"
)

// newLogger builds the handler that opts asks for, which redacts, under the one
// that adds the ids of the trace.
func newLogger(opts Options) (*slog.Logger, error) {
	level := opts.LogLevel
	if level == nil {
		level = slog.LevelInfo
	}
	var handler slog.Handler
	switch format := opts.LogFormat; {
	case format == "human", format == "" && isTerminal(opts.Output):
		// A person knows which process is in front of them, or reads its
		// output under the name that the supervisor puts before each line.
		handler = newHuman(opts.Output, level, colours(opts.Output))
	case format == "json", format == "":
		handler = slog.NewJSONHandler(opts.Output, &slog.HandlerOptions{Level: level, ReplaceAttr: redactLog})
		handler = handler.WithAttrs(identity(opts))
	default:
		return nil, fmt.Errorf("open logs: unknown format %q; known: human, json", format)
	}
	return slog.New(&traced{root: handler, current: handler}), nil
}

// identity is what every JSON line says of its process.
func identity(opts Options) []slog.Attr {
	var attrs []slog.Attr
	for _, a := range []slog.Attr{
		slog.String("service", opts.Service),
		slog.String("instance", opts.Instance),
		slog.String("version", opts.Version),
		slog.String("environment", opts.Environment),
	} {
		if a.Value.String() != "" {
			attrs = append(attrs, a)
		}
	}
	return attrs
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// colours follows https://no-color.org.
func colours(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// traced adds trace_id and span_id to the lines logged with a context that has
// them. They stay at the top level, where log stores look for them, also in a
// logger with groups: for those the handler is put together again from the root.
type traced struct {
	root    slog.Handler // as it was before the first group
	current slog.Handler
	redo    []func(slog.Handler) slog.Handler // from root to current, since the first group
}

func (h *traced) Enabled(ctx context.Context, level slog.Level) bool {
	return h.current.Enabled(ctx, level)
}

func (h *traced) Handle(ctx context.Context, record slog.Record) error {
	l := linkOf(ctx)
	if l == nil {
		return h.current.Handle(ctx, record)
	}
	ids := l.logAttrs()
	if len(h.redo) == 0 {
		record = record.Clone()
		record.AddAttrs(ids...)
		return h.current.Handle(ctx, record)
	}
	handler := h.root.WithAttrs(ids)
	for _, step := range h.redo {
		handler = step(handler)
	}
	return handler.Handle(ctx, record)
}

func (h *traced) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	if len(h.redo) == 0 {
		next := h.root.WithAttrs(attrs)
		return &traced{root: next, current: next}
	}
	return h.with(func(to slog.Handler) slog.Handler { return to.WithAttrs(attrs) })
}

func (h *traced) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return h.with(func(to slog.Handler) slog.Handler { return to.WithGroup(name) })
}

func (h *traced) with(step func(slog.Handler) slog.Handler) slog.Handler {
	redo := append(h.redo[:len(h.redo):len(h.redo)], step)
	return &traced{root: h.root, current: step(h.current), redo: redo}
}

// logAttrs are what a line says of its place in a trace.
func (l *link) logAttrs() []slog.Attr {
	var attrs []slog.Attr
	if l.passage != nil {
		attrs = append(attrs, slog.String("trace_id", l.passage.trace.String()))
		if l.current != nil {
			attrs = append(attrs, slog.String("span_id", l.current.at.id.String()))
		}
	}
	if l.baggage != nil {
		for key, value := range baggageMembers(*l.baggage) {
			attrs = append(attrs, slog.String("baggage."+key, value))
		}
	}
	return attrs
}
