package engines

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
)

// What would end a process of etcd's own ends here one goroutine, and is told.
func TestFatalLinesEndNoProcess(t *testing.T) {
	for name, line := range map[string]func(*zap.Logger){
		"fatal": func(l *zap.Logger) { l.Fatal("save entries", zap.Error(syscall.ENOSPC)) },
		"panic": func(l *zap.Logger) { l.With(zap.Int("n", 1)).Panic("save entries", zap.Error(syscall.ENOSPC)) },
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			f := newFault()
			go line(newZapLogger(slog.New(slog.NewTextHandler(&log, nil)), f))
			<-f.happened
			if err := f.err(); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "save entries") {
				t.Errorf("it died of %v", err)
			}
			if !strings.Contains(log.String(), "no space left on device") {
				t.Errorf("log: %s", &log)
			}
		})
	}
}

func TestLogIsBounded(t *testing.T) {
	var log bytes.Buffer
	f := newFault()
	logger := newZapLogger(slog.New(slog.NewTextHandler(&log, nil)), f)
	for range 1000 {
		logger.Info("applied")
		logger.Warn("apply request took too long")
		logger.Warn("request stats")
	}
	f.closing.Store(true)
	logger.Warn("listener closed")
	if n := strings.Count(log.String(), "\n"); n != 2 {
		t.Errorf("%d lines were logged:\n%s", n, &log)
	}
}

func TestGuardEndsWhatHangs(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	release, discarded := make(chan struct{}), make(chan int)
	_, err := guard(ctx, newFault(),
		func() (int, error) { <-release; return 7, nil },
		func(late int) { discarded <- late })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	close(release)
	if late := <-discarded; late != 7 {
		t.Errorf("discarded %d", late)
	}
	_, err = guard(t.Context(), newFault(), func() (int, error) { panic("damaged page") }, func(int) {})
	if err == nil || err.Error() != "damaged page" {
		t.Errorf("error %v", err)
	}
}
