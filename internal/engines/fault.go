package engines

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// fault keeps what etcd died of. Alone in its process, etcd ends it with the
// last line of its log; as a guest it may only end the goroutine.
type fault struct {
	happened chan struct{}
	// closing: what etcd logs now is about its own end, which was asked for.
	closing atomic.Bool

	mu    sync.Mutex
	cause error
}

func newFault() *fault { return &fault{happened: make(chan struct{})} }

func (f *fault) record(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cause == nil && err != nil {
		f.cause = err
		close(f.happened)
	}
}

func (f *fault) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cause
}

// guard runs start and turns its ways to die, and to hang, into an error. What
// start returns too late is given to discard.
func guard[T any](ctx context.Context, f *fault, start func() (T, error), discard func(T)) (T, error) {
	type result struct {
		value T
		err   error
	}
	results := make(chan result)
	abandoned := make(chan struct{})
	go func() {
		defer func() {
			if p := recover(); p != nil {
				f.record(fmt.Errorf("%v", p))
			}
		}()
		value, err := start()
		select {
		case results <- result{value, err}:
		case <-abandoned:
			discard(value)
		}
	}()
	select {
	case r := <-results:
		return r.value, r.err
	case <-f.happened:
		// The goroutine that died, or one that waits for it, is left behind:
		// etcd offers no way to end it.
		close(abandoned)
		var none T
		return none, f.err()
	case <-ctx.Done():
		close(abandoned)
		var none T
		return none, context.Cause(ctx)
	}
}

// OnWrite is called by zap for a fatal or panic line, after it was written.
func (f *fault) OnWrite(entry *zapcore.CheckedEntry, fields []zapcore.Field) {
	f.record(lineError(entry.Entry, fields))
	runtime.Goexit()
}

func lineError(entry zapcore.Entry, fields []zapcore.Field) error {
	for _, field := range fields {
		if cause, ok := field.Interface.(error); ok && field.Type == zapcore.ErrorType {
			return fmt.Errorf("%s: %w", entry.Message, cause)
		}
	}
	return errors.New(entry.Message)
}

// newZapLogger writes what etcd logs from warn on to a slog.Logger. A slow disk
// makes etcd repeat itself many times a second: twice in ten is enough.
func newZapLogger(to *slog.Logger, f *fault) *zap.Logger {
	core := zapcore.NewSamplerWithOptions(&slogCore{to: to, closing: &f.closing}, 10*time.Second, 2, 0)
	return zap.New(core, zap.WithFatalHook(f), zap.WithPanicHook(f))
}

type slogCore struct {
	to      *slog.Logger
	closing *atomic.Bool
}

func (c *slogCore) Enabled(level zapcore.Level) bool { return level >= zapcore.WarnLevel }

func (c *slogCore) With(fields []zapcore.Field) zapcore.Core {
	return &slogCore{c.to.With(attributes(fields)...), c.closing}
}

func (c *slogCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !c.Enabled(entry.Level) || routine(entry.Message) || c.closing.Load() {
		return checked
	}
	return checked.AddCore(entry, c)
}

func (c *slogCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	level := slog.LevelWarn
	if entry.Level >= zapcore.ErrorLevel {
		level = slog.LevelError
	}
	c.to.Log(context.Background(), level, entry.Message, attributes(fields)...)
	return nil
}

func (c *slogCore) Sync() error { return nil }

func attributes(fields []zapcore.Field) []any {
	encoder := zapcore.NewMapObjectEncoder()
	for _, field := range fields {
		field.AddTo(encoder)
	}
	list := make([]any, 0, len(encoder.Fields))
	for name, value := range encoder.Fields {
		list = append(list, slog.Any(name, value))
	}
	return list
}

// routine tells the warnings that every start of a single member brings, or
// every request on a busy machine, and that ask nothing of anybody.
func routine(message string) bool {
	return strings.HasPrefix(message, "Running http and grpc server on single port") ||
		message == "request stats" || // of one that took 300 ms; the client's metrics tell how long requests take
		message == "simple token is not cryptographically signed"
}
